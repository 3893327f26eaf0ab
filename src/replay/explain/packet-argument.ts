import { CaptureReader } from '../../io/capture/reader.js';
import { CaptureRecord } from '../../io/capture/record.js';
import { LINKTYPE } from '../../wire/link.js';
import { parsePacket } from '../script/packet-script.js';
import { PacketScriptError } from '../script/tokens.js';

/** One frame, wherever it came from. */
export interface Frame {
  /** Where it came from, in words. */
  readonly origin: string;
  readonly bytes: Uint8Array;
  readonly originalLength: number;
  readonly linkType: number;
}

/**
 * Reads the packet that a person names: `FILE#N`, hexadecimal, base64, or a packet line like
 * `tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN`. Bytes whose first nibble is 4 or 6 are taken for IP, others for
 * Ethernet, unless `linkType` is given. `base64:` in front settles what else could be both.
 * @throws CaptureError, PacketScriptError
 */
export async function readPacketArgument(argument: string, linkType: number | null): Promise<Frame> {
  const numbered = /^(.+)#(\d{1,12})$/.exec(argument);
  if (numbered !== null) return fromCapture(numbered[1], Number(numbered[2]));
  const bare = argument.replace(/[\s:]/g, '');
  if (argument.startsWith('base64:')) return fromBytes(decodeBase64(argument.slice(7)), 'base64', linkType);
  if (/^(0x)?([0-9a-f]{2})+$/i.test(bare)) {
    return fromBytes(Buffer.from(bare.replace(/^0x/i, ''), 'hex'), 'hexadecimal', linkType);
  }
  if (looksLikeBase64(argument)) return fromBytes(decodeBase64(argument), 'base64', linkType);
  if (/\s/.test(argument.trim())) return fromBytes(parsePacket(argument), 'packet line', LINKTYPE.RAW);
  throw new PacketScriptError(
    `${JSON.stringify(argument)} is no packet: give FILE#N, hexadecimal, base64, or a line like "tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN"`,
  );
}

function fromBytes(bytes: Uint8Array, origin: string, linkType: number | null): Frame {
  const nibble = bytes[0] >>> 4;
  const guessed = nibble === 4 || nibble === 6 ? LINKTYPE.RAW : LINKTYPE.ETHERNET;
  return { origin, bytes, originalLength: bytes.length, linkType: linkType ?? guessed };
}

/** Words are base64 by their letters, too; what they stand for has to look like a packet. */
function looksLikeBase64(text: string): boolean {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]{4,}={0,2}$/.test(text)) return false;
  const bytes = Buffer.from(text, 'base64');
  const nibble = bytes[0] >>> 4;
  if (nibble === 4 || nibble === 6) return true;
  return bytes.length >= ETHERNET_HEADER && ETHERTYPES.has(bytes.readUInt16BE(ETHERNET_HEADER - 2));
}

const ETHERNET_HEADER = 14;
/** IPv4, ARP, VLAN, IPv6. */
const ETHERTYPES: ReadonlySet<number> = new Set([0x0800, 0x0806, 0x8100, 0x86dd]);

function decodeBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length > 0 && /^[A-Za-z0-9+/_-]+=*$/.test(text)) return bytes;
  throw new PacketScriptError('base64: is followed by characters that are no base64');
}

async function fromCapture(file: string, wanted: number): Promise<Frame> {
  const reader = await CaptureReader.open(file);
  try {
    const record = new CaptureRecord();
    let number = 0;
    do {
      while (reader.next(record)) {
        if (++number !== wanted) continue;
        const { bytes, offset, capturedLength, originalLength, linkType } = record;
        return {
          origin: `${file}, packet ${wanted}`,
          bytes: Uint8Array.from(bytes.subarray(offset, offset + capturedLength)),
          originalLength,
          linkType,
        };
      }
    } while (await reader.more());
    const there = number === 0 ? 'it has none' : `it has ${number}`;
    throw new PacketScriptError(`${file}: there is no packet ${wanted}: ${there}`);
  } finally {
    await reader.close();
  }
}
