import { writeBytes } from './bytes.js';
import { Reason } from './reason.js';
import type { UdpView } from './udp.js';

/**
 * WireGuard messages as far as they can be read without keys, and the 24-bit clientid that WARP's clients put where
 * stock WireGuard has three zero bytes. Numbers are little-endian, unlike everywhere else in this room.
 *
 * ```
 *  0                   1                   2                   3
 * |     Type      |       Reserved, or clientid (24 bits)         |
 * |               Sender index, or receiver index                 |
 * |                              ...                              |
 * ```
 *
 * Sources: J. A. Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel" (2017) section 5.4; Cloudflare, "The
 * Technical Challenges of Building Cloudflare WARP" (2019) for the clientid.
 */

export const WIREGUARD_INITIATION = 1;
export const WIREGUARD_RESPONSE = 2;
export const WIREGUARD_COOKIE = 3;
export const WIREGUARD_DATA = 4;

/** Lengths in bytes; transport data is at least a header and an authentication tag. */
export const WIREGUARD_INITIATION_LENGTH = 148;
export const WIREGUARD_RESPONSE_LENGTH = 92;
export const WIREGUARD_COOKIE_LENGTH = 64;
export const WIREGUARD_DATA_MIN_LENGTH = 32;

export const WIREGUARD_AT_TYPE = 0;
export const WIREGUARD_AT_CLIENTID = 1;
/** What follows type and clientid. */
export const WIREGUARD_AT_BODY = 4;
/** Initiation and response. */
export const WIREGUARD_AT_SENDER = 4;
/** Cookie reply and transport data. */
export const WIREGUARD_AT_RECEIVER = 4;
/** Response. */
export const WIREGUARD_RESPONSE_AT_RECEIVER = 8;
/** Transport data. */
export const WIREGUARD_DATA_AT_COUNTER = 8;
export const WIREGUARD_DATA_AT_CONTENT = 16;

const CLIENTID_MASK = 0xffffff;

/** A checked WireGuard message: type and length fit together. Nothing in it is authentic. */
export class WireguardView {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the message: the UDP payload. */
  offset = 0;
  /** One past its last byte: the limit given to `attach`. */
  end = 0;

  /**
   * @param limit one past the UDP payload's last byte
   * @returns Ok, UnknownType, Truncated, or BadLength (longer than its type ever is)
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    const length = limit - offset;
    if (length < WIREGUARD_AT_BODY) return Reason.Truncated;
    const type = data.getUint8(offset + WIREGUARD_AT_TYPE);
    const least = wireguardLength(type);
    if (least === 0) return Reason.UnknownType;
    if (length < least) return Reason.Truncated;
    if (length > least && type !== WIREGUARD_DATA) return Reason.BadLength;
    this.data = data;
    this.offset = offset;
    this.end = limit;
    return Reason.Ok;
  }

  get type(): number {
    return this.data.getUint8(this.offset + WIREGUARD_AT_TYPE);
  }

  /** The three bytes in the order in which they lie, the first one on top; 0 from a stock client. */
  get clientid(): number {
    return this.data.getUint32(this.offset) & CLIENTID_MASK;
  }

  /** Index chosen by the message's sender; 0 in messages that carry none (cookie reply, transport data). */
  get sender(): number {
    const type = this.type;
    if (type !== WIREGUARD_INITIATION && type !== WIREGUARD_RESPONSE) return 0;
    return this.data.getUint32(this.offset + WIREGUARD_AT_SENDER, true);
  }

  /** Index chosen earlier by the message's receiver; 0 in an initiation. */
  get receiver(): number {
    const type = this.type;
    if (type === WIREGUARD_INITIATION) return 0;
    const field = type === WIREGUARD_RESPONSE ? WIREGUARD_RESPONSE_AT_RECEIVER : WIREGUARD_AT_RECEIVER;
    return this.data.getUint32(this.offset + field, true);
  }

  /** Nonce counter of transport data, 0 otherwise. A bigint: for cold paths. */
  get counter(): bigint {
    if (this.type !== WIREGUARD_DATA) return 0n;
    return this.data.getBigUint64(this.offset + WIREGUARD_DATA_AT_COUNTER, true);
  }

  /** @param udp the UDP header around the message, whose checksum, if it has one, is kept right */
  setClientid(clientid: number, udp: UdpView): void {
    const before = this.data.getUint32(this.offset);
    const after = (before & ~CLIENTID_MASK) | (clientid & CLIENTID_MASK);
    this.data.setUint32(this.offset, after);
    udp.patchChecksum32(before, after);
  }

  /**
   * Makes a WARP message one that a stock server takes: stock peers drop messages whose reserved bytes are not zero,
   * and mac1 is computed as if they were.
   */
  clearClientid(udp: UdpView): void {
    this.setClientid(0, udp);
  }
}

/** Length of a message of this type (for transport data the least one), 0 for an unknown type. */
export function wireguardLength(type: number): number {
  switch (type) {
    case WIREGUARD_INITIATION:
      return WIREGUARD_INITIATION_LENGTH;
    case WIREGUARD_RESPONSE:
      return WIREGUARD_RESPONSE_LENGTH;
    case WIREGUARD_COOKIE:
      return WIREGUARD_COOKIE_LENGTH;
    case WIREGUARD_DATA:
      return WIREGUARD_DATA_MIN_LENGTH;
    default:
      return 0;
  }
}

/**
 * @param clientid 24 bits, 0 for a stock client
 * @param body everything behind the first four bytes, `wireguardLength(type) - 4` bytes or for transport data more
 * @returns bytes written: 4 and the body
 */
export function encodeWireguardInto(
  data: DataView,
  offset: number,
  type: number,
  clientid: number,
  body: Uint8Array,
): number {
  data.setUint32(offset, (type << 24) | (clientid & CLIENTID_MASK));
  writeBytes(data, offset + WIREGUARD_AT_BODY, body);
  return WIREGUARD_AT_BODY + body.length;
}
