import { z } from 'zod';
import { udpUpdate32 } from '../wire/checksum.js';
import { FragmentKind, IP_PROTOCOL_UDP, type IpPacket } from '../wire/ip.js';
import { UDP_AT_CHECKSUM, UDP_AT_LENGTH, UDP_HEADER } from '../wire/udp.js';
import {
  WIREGUARD_COOKIE_LENGTH,
  WIREGUARD_DATA,
  WIREGUARD_DATA_MIN_LENGTH,
  WIREGUARD_INITIATION,
  WIREGUARD_INITIATION_LENGTH,
  WIREGUARD_RESPONSE,
  WIREGUARD_RESPONSE_LENGTH,
} from '../wire/wireguard.js';
import { DISSECT_DROP, DISSECT_FALLBACK, type DissectorType, type FlowDissector } from './dissector.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';

/**
 * The 24-bit clientid that WARP's clients put into the three reserved bytes of every WireGuard message: it names the
 * session, whatever addresses and ports the client has. Zero is a stock client, whose 4-tuple has to do.
 *
 * Messages are checked as far as that is possible without keys: type 1 to 4, and the length that the type has. With
 * `clear`, the clientid is set to zero before the message is handed to the service, and the UDP checksum follows: stock
 * peers drop messages whose reserved bytes are not zero.
 *
 * Source: Cloudflare, "The Technical Challenges of Building Cloudflare WARP" (2019).
 */

const DROPS = ['truncated', 'unknown_type', 'bad_length'] as const;
const TRUNCATED = DISSECT_DROP;
const UNKNOWN_TYPE = DISSECT_DROP - 1;
const BAD_LENGTH = DISSECT_DROP - 2;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const FALLBACK = DISSECT_FALLBACK;
const HEADER = UDP_HEADER;
const LENGTH_AT = UDP_AT_LENGTH;
const CHECKSUM_AT = UDP_AT_CHECKSUM;
const UDP = IP_PROTOCOL_UDP;
const WHOLE = FragmentKind.None;
const INITIATION = WIREGUARD_INITIATION;
const RESPONSE = WIREGUARD_RESPONSE;
const DATA = WIREGUARD_DATA;
const INITIATION_LENGTH = WIREGUARD_INITIATION_LENGTH;
const RESPONSE_LENGTH = WIREGUARD_RESPONSE_LENGTH;
const COOKIE_LENGTH = WIREGUARD_COOKIE_LENGTH;
const DATA_MIN_LENGTH = WIREGUARD_DATA_MIN_LENGTH;
/** Type and clientid. */
const PREFIX = 4;
const CLIENTID_LENGTH = 3;
const TYPE_MASK = 0xff000000;

class WireguardClientid implements FlowDissector {
  readonly name = 'wireguard-clientid';
  readonly drops = DROPS;

  dissect(packet: IpPacket, _flow: Flow, key: FlowKey): number {
    const problem = problemOf(packet);
    if (problem < 0) return problem;
    // Little-endian: the type lies lowest, and the clientid keeps the order of its bytes.
    const clientid = packet.data.getInt32(packet.transport + HEADER, true) >>> 8;
    if (clientid === 0) return FALLBACK;
    key.words[0] = clientid;
    key.length = CLIENTID_LENGTH;
    return CLIENTID_LENGTH;
  }
}

class ClearingWireguardClientid extends WireguardClientid {
  deliver(packet: IpPacket): void {
    // Where no session had to be told, nobody has looked yet.
    if (problemOf(packet) < 0) return;
    const { data, transport } = packet;
    const before = data.getUint32(transport + HEADER);
    const after = before & TYPE_MASK;
    if (after === before) return;
    data.setUint32(transport + HEADER, after);
    const checksum = udpUpdate32(data.getUint16(transport + CHECKSUM_AT), before, after);
    data.setUint16(transport + CHECKSUM_AT, checksum);
  }
}

/** Why a packet is no WireGuard message, as a code to drop it; 0 when it is one. */
function problemOf(packet: IpPacket): number {
  const data = packet.data;
  const udp = packet.transport;
  if (packet.protocol !== UDP || udp + HEADER + PREFIX > packet.end) return TRUNCATED;
  // Of a fragmented message only the beginning is here: its length is what UDP says it is.
  const length = data.getUint16(udp + LENGTH_AT) - HEADER;
  if (packet.fragment === WHOLE && udp + HEADER + length > packet.end) return TRUNCATED;
  const type = data.getUint8(udp + HEADER);
  if (type === DATA) return length < DATA_MIN_LENGTH ? BAD_LENGTH : 0;
  if (type < INITIATION || type > DATA) return UNKNOWN_TYPE;
  const expected =
    type === INITIATION ? INITIATION_LENGTH : type === RESPONSE ? RESPONSE_LENGTH : COOKIE_LENGTH;
  return length === expected ? 0 : BAD_LENGTH;
}

const options = z.strictObject({
  /** Set the clientid to zero before the service gets the message. */
  clear: z.boolean().default(false),
});

export const wireguardClientid: DissectorType<z.output<typeof options>> = {
  name: 'wireguard-clientid',
  protocols: [UDP],
  options,
  create: ({ clear }) => (clear ? new ClearingWireguardClientid() : new WireguardClientid()),
};
