import { parseIpv4, parseIpv6 } from './address.js';
import { TableError } from './errors.js';

/**
 * The sessions that a service has, as it publishes them: a text file with one session key per line, replaced as a whole.
 *
 * ```text
 * # of trafficset warp
 * 0a1b2c
 * udp 198.51.100.7:51820 > 192.0.2.1:51820
 * ```
 *
 * A key is what the trafficset's dissector finds, in hexadecimal; or, for packets in which it finds none, the 4-tuple as
 * the client's packets have it. `#` begins a comment, empty lines mean nothing.
 */

/** Of a flow key, in bytes: see `flow-key.ts`. */
const MAX_KEY_BYTES = 64;
const HEX_KEY = /^(?:[0-9a-f]{2})+$/i;
const TUPLE = /^(?:udp|tcp) +(\S+):(\d{1,5}) +> +(\S+):(\d{1,5})$/;

/** @param file its name in messages @throws TableError `bad-session` with file and line */
export function parseSessions(text: string, file: string): Uint8Array[] {
  const keys: Uint8Array[] = [];
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    const written = line.split('#', 1)[0].trim();
    if (written === '') continue;
    const key = parseSession(written);
    if (key === undefined) {
      throw new TableError(
        'bad-session',
        `${file}:${number}: ${JSON.stringify(written)} is no session key: write 1 to ${MAX_KEY_BYTES} bytes in hexadecimal, or udp ADDRESS:PORT > VIP:PORT`,
      );
    }
    keys.push(key);
  }
  return keys;
}

function parseSession(text: string): Uint8Array | undefined {
  if (HEX_KEY.test(text) && text.length <= 2 * MAX_KEY_BYTES)
    return Uint8Array.from(Buffer.from(text, 'hex'));
  const match = TUPLE.exec(text);
  if (match === null) return undefined;
  const [source, destination] = [addressBytes(match[1]), addressBytes(match[3])];
  const ports = [Number(match[2]), Number(match[4])];
  if (source === undefined || source.length !== destination?.length) return undefined;
  if (ports.some((port) => port > 65535)) return undefined;
  return Uint8Array.from([...source, ...destination, ...ports.flatMap((port) => [port >>> 8, port & 0xff])]);
}

/** `198.51.100.7` or `[2001:db8::1]` */
function addressBytes(text: string): Uint8Array | undefined {
  const words = wordsOf(text);
  if (words === undefined) return undefined;
  const bytes = new Uint8Array(4 * words.length);
  const data = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) data.setUint32(4 * index, word);
  return bytes;
}

function wordsOf(text: string): readonly number[] | undefined {
  try {
    return text.startsWith('[') && text.endsWith(']') ? parseIpv6(text.slice(1, -1)) : [parseIpv4(text)];
  } catch (error) {
    if (error instanceof TableError) return undefined;
    throw error;
  }
}
