import { writeBytes } from './bytes.js';
import { IP_PROTOCOL_AH, MAX_EXTENSION_HEADERS } from './ip.js';
import { Reason } from './reason.js';

/**
 * The IPv6 header, the fragment header, and the list of extension headers for explanations.
 *
 * ```
 *  0                   1                   2                   3
 * |Version| Traffic Class |              Flow Label               |
 * |        Payload Length         |  Next Header  |   Hop Limit   |
 * |                  Source Address (16 bytes)                    |
 * |                Destination Address (16 bytes)                 |
 * ```
 *
 * The walk over extension headers that every packet takes is `IpPacket.parse`; here is only what it does not need.
 *
 * Sources: RFC 8200; RFC 6946 (atomic fragments); RFC 4302 (AH length); RFC 7045 (the list of extension headers).
 */

/** Without extension headers. */
export const IPV6_HEADER = 40;

export const IPV6_AT_PAYLOAD_LENGTH = 4;
export const IPV6_AT_NEXT_HEADER = 6;
export const IPV6_AT_HOP_LIMIT = 7;
export const IPV6_AT_SOURCE = 8;
export const IPV6_AT_DESTINATION = 24;

export const IPV6_FRAGMENT_HEADER = 8;
export const IPV6_FRAGMENT_AT_NEXT_HEADER = 0;
export const IPV6_FRAGMENT_AT_OFFSET = 2;
export const IPV6_FRAGMENT_AT_IDENTIFICATION = 4;

/** Next-header numbers of the extension headers that the walk steps over. */
export const IPV6_HOP_BY_HOP = 0;
export const IPV6_ROUTING = 43;
export const IPV6_FRAGMENT = 44;
export const IPV6_DESTINATION_OPTIONS = 60;
export const IPV6_MOBILITY = 135;
export const IPV6_HIP = 139;
export const IPV6_SHIM6 = 140;

/** Name by next-header number. */
export const IPV6_EXTENSION_NAMES: ReadonlyMap<number, string> = new Map([
  [IPV6_HOP_BY_HOP, 'hop-by-hop options'],
  [IPV6_ROUTING, 'routing'],
  [IPV6_FRAGMENT, 'fragment'],
  [IP_PROTOCOL_AH, 'authentication'],
  [IPV6_DESTINATION_OPTIONS, 'destination options'],
  [IPV6_MOBILITY, 'mobility'],
  [IPV6_HIP, 'host identity'],
  [IPV6_SHIM6, 'shim6'],
]);

/** A checked IPv6 header. */
export class Ipv6View {
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Start of the header. */
  offset = 0;
  /** One past the last byte by the payload length field. */
  end = 0;

  /**
   * @param limit one past the last byte present
   * @returns Ok; Truncated, BadVersion or BadLength (payload length beyond what is present). Jumbograms (RFC 2675)
   *   look like packets without payload.
   */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < IPV6_HEADER) return Reason.Truncated;
    if (data.getUint8(offset) >>> 4 !== 6) return Reason.BadVersion;
    const end = offset + IPV6_HEADER + data.getUint16(offset + IPV6_AT_PAYLOAD_LENGTH);
    if (end > limit) return Reason.BadLength;
    this.data = data;
    this.offset = offset;
    this.end = end;
    return Reason.Ok;
  }

  /** DSCP in the upper six bits, ECN in the lower two. */
  get trafficClass(): number {
    return (this.data.getUint16(this.offset) >>> 4) & 0xff;
  }

  /** 20 bits. */
  get flowLabel(): number {
    return this.data.getUint32(this.offset) & 0xfffff;
  }

  /** Of extension headers and everything behind them. */
  get payloadLength(): number {
    return this.data.getUint16(this.offset + IPV6_AT_PAYLOAD_LENGTH);
  }

  get nextHeader(): number {
    return this.data.getUint8(this.offset + IPV6_AT_NEXT_HEADER);
  }

  get hopLimit(): number {
    return this.data.getUint8(this.offset + IPV6_AT_HOP_LIMIT);
  }

  /** Where the 16 bytes of the source address lie. */
  get sourceOffset(): number {
    return this.offset + IPV6_AT_SOURCE;
  }

  get destinationOffset(): number {
    return this.offset + IPV6_AT_DESTINATION;
  }

  /** Start of what follows the fixed header. */
  get payload(): number {
    return this.offset + IPV6_HEADER;
  }

  /** No checksum covers the hop limit. */
  setHopLimit(hopLimit: number): void {
    this.data.setUint8(this.offset + IPV6_AT_HOP_LIMIT, hopLimit);
  }

  /** Allocates: for cold paths. */
  extensions(): Generator<Ipv6Extension> {
    return ipv6Extensions(this);
  }
}

/** A checked fragment header. `offset` is where it starts, not where the IPv6 header does. */
export class Ipv6FragmentView {
  data: DataView = new DataView(new ArrayBuffer(0));
  offset = 0;

  /** @returns Ok or Truncated */
  attach(data: DataView, offset: number, limit: number): Reason {
    if (limit - offset < IPV6_FRAGMENT_HEADER) return Reason.Truncated;
    this.data = data;
    this.offset = offset;
    return Reason.Ok;
  }

  get nextHeader(): number {
    return this.data.getUint8(this.offset + IPV6_FRAGMENT_AT_NEXT_HEADER);
  }

  /** In bytes (the wire counts in units of 8, in the upper 13 bits, which comes to the same). */
  get fragmentOffset(): number {
    return this.data.getUint16(this.offset + IPV6_FRAGMENT_AT_OFFSET) & 0xfff8;
  }

  get moreFragments(): boolean {
    return (this.data.getUint16(this.offset + IPV6_FRAGMENT_AT_OFFSET) & 1) !== 0;
  }

  get identification(): number {
    return this.data.getUint32(this.offset + IPV6_FRAGMENT_AT_IDENTIFICATION);
  }

  /** Offset 0 and nothing to come: a whole datagram that merely carries the header (RFC 6946). */
  get isAtomic(): boolean {
    return this.fragmentOffset === 0 && !this.moreFragments;
  }
}

export interface Ipv6Extension {
  /** Its own next-header number. */
  readonly type: number;
  readonly name: string;
  /** Where it starts. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
  /** What it says comes next. */
  readonly nextHeader: number;
}

/**
 * Walks the extension headers, for explanations. Stops where `IpPacket.parse` does: at a transport header, behind the
 * header of a later fragment, at a header that is cut off or at the ninth; the reason is the one `parse` gives.
 */
export function* ipv6Extensions(view: Ipv6View): Generator<Ipv6Extension> {
  const { data, end } = view;
  const fragment = new Ipv6FragmentView();
  let type = view.nextHeader;
  let at = view.payload;
  for (let count = 0; count < MAX_EXTENSION_HEADERS; count++) {
    const name = IPV6_EXTENSION_NAMES.get(type);
    if (name === undefined || at + 8 > end) return;
    const length = extensionLength(type, data.getUint8(at + 1));
    if (at + length > end) return;
    const nextHeader = data.getUint8(at);
    yield { type, name, offset: at, length, nextHeader };
    if (type === IPV6_FRAGMENT) {
      fragment.attach(data, at, end);
      if (fragment.fragmentOffset !== 0) return;
    }
    at += length;
    type = nextHeader;
  }
}

/** The length byte counts 8-byte units beyond the first; AH counts 4-byte words minus two; a fragment has none. */
function extensionLength(type: number, lengthByte: number): number {
  if (type === IPV6_FRAGMENT) return IPV6_FRAGMENT_HEADER;
  if (type === IP_PROTOCOL_AH) return (lengthByte + 2) << 2;
  return (lengthByte + 1) << 3;
}

/**
 * @param payloadLength of everything behind this header, at most 65,535
 * @param source @param destination 16 bytes each; @param flowLabel 20 bits
 * @returns 40
 */
export function encodeIpv6Into(
  data: DataView,
  offset: number,
  payloadLength: number,
  nextHeader: number,
  source: Uint8Array,
  destination: Uint8Array,
  hopLimit = 64,
  trafficClass = 0,
  flowLabel = 0,
): number {
  data.setUint32(offset, 0x60000000 | (trafficClass << 20) | flowLabel);
  data.setUint32(offset + IPV6_AT_PAYLOAD_LENGTH, (payloadLength << 16) | (nextHeader << 8) | hopLimit);
  writeBytes(data, offset + IPV6_AT_SOURCE, source);
  writeBytes(data, offset + IPV6_AT_DESTINATION, destination);
  return IPV6_HEADER;
}

/**
 * @param fragmentOffset in bytes, a multiple of 8
 * @returns 8
 */
export function encodeIpv6FragmentInto(
  data: DataView,
  offset: number,
  nextHeader: number,
  fragmentOffset: number,
  moreFragments: boolean,
  identification: number,
): number {
  data.setUint32(offset, (nextHeader << 24) | fragmentOffset | (moreFragments ? 1 : 0));
  data.setUint32(offset + IPV6_FRAGMENT_AT_IDENTIFICATION, identification);
  return IPV6_FRAGMENT_HEADER;
}
