import { formatIpv4 } from '../../wire/address.js';
import { checksum, udpUpdate16, udpUpdate32, update16, update32 } from '../../wire/checksum.js';
import { encodeGreInto, GRE_HEADER, GRE_PROTOCOL_IPV4, GRE_PROTOCOL_IPV6 } from '../../wire/gre.js';
import { GUE_AT_NEXT_HOP } from '../../wire/gue.js';
import { IP_PROTOCOL_GRE, IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6 } from '../../wire/ip.js';
import {
  IPV4_AT_CHECKSUM,
  IPV4_AT_DESTINATION,
  IPV4_AT_PROTOCOL,
  IPV4_AT_SOURCE,
  IPV4_AT_TOTAL_LENGTH,
  IPV4_AT_TTL,
  IPV4_HEADER,
} from '../../wire/ipv4.js';
import { IPV6_AT_HOP_LIMIT, IPV6_AT_PAYLOAD_LENGTH, IPV6_HEADER } from '../../wire/ipv6.js';
import { UDP_AT_CHECKSUM, UDP_HEADER } from '../../wire/udp.js';
import type { Reading } from './reading.js';
import type { RedirectReason } from './redirect-reason.js';
import type { RedirectorProfile } from './redirector-profile.js';
import type { Wrapper } from './wrapper.js';

/** Last part of the model: the bytes that leave. Always a copy; the packet that came stays as it is. */

/** What leaves, under which reason: the last step can still fail. */
export interface Outgoing {
  readonly reason: RedirectReason;
  /** Empty when the packet is dropped. */
  readonly bytes: Uint8Array;
}

function dropped(reason: RedirectReason): Outgoing {
  return { reason, bytes: new Uint8Array(0) };
}

/** The inner packet, for this server's kernel. */
export function unwrap(
  { profile, data, trace }: Reading,
  wrapper: Wrapper,
  reason: RedirectReason,
): Outgoing {
  const end = profile.innerPadding === 'cut' ? cutInner(data, wrapper) : wrapper.end;
  const length = end - wrapper.inner;
  // A packet that was taken in unread can be anything.
  if (length < IPV4_HEADER) {
    trace.tell('The packet cannot be unwrapped', `${length} bytes would be left of it`);
    return dropped('drop_too_short');
  }
  trace.tell('The wrapper is taken off', `${length} bytes go to the kernel`);
  return { reason, bytes: bytesOf(data, wrapper.inner, end) };
}

/** Where the inner packet ends by its own length, if that can be. */
function cutInner(data: DataView, { inner, end, protocol }: Wrapper): number {
  let byLength = end;
  if (protocol === IP_PROTOCOL_IPIP && end - inner >= IPV4_HEADER) {
    byLength = inner + Math.max(IPV4_HEADER, data.getUint16(inner + IPV4_AT_TOTAL_LENGTH));
  } else if (protocol === IP_PROTOCOL_IPV6 && end - inner >= IPV6_HEADER) {
    byLength = inner + IPV6_HEADER + data.getUint16(inner + IPV6_AT_PAYLOAD_LENGTH);
  }
  return Math.min(end, byLength);
}

/** The same wrapper one step further: it now comes from here, goes to the hop, and the next hop is the one after. */
export function sendOn({ profile, data, trace }: Reading, wrapper: Wrapper, hop: number): Outgoing {
  trace.count('forwarded gue');
  const bytes = bytesOf(data, 0, endOfOuter(profile, data, wrapper));
  const out = new DataView(bytes.buffer);
  const source = data.getUint32(IPV4_AT_SOURCE);
  out.setUint32(IPV4_AT_SOURCE, data.getUint32(IPV4_AT_DESTINATION));
  out.setUint32(IPV4_AT_DESTINATION, hop);
  if (profile.ipv4Checksum === 'computed') writeHeaderChecksum(out, wrapper.udp);
  else out.setUint16(IPV4_AT_CHECKSUM, update32(data.getUint16(IPV4_AT_CHECKSUM), source, hop));

  const nextHopAt = wrapper.udp + UDP_HEADER + GUE_AT_NEXT_HOP;
  const before = data.getUint16(nextHopAt);
  const after = (before + 0x0100) & 0xffff;
  out.setUint16(nextHopAt, after);
  const checksumAt = wrapper.udp + UDP_AT_CHECKSUM;
  const udpChecksum = data.getUint16(checksumAt);
  // 0 means that there is none.
  if (udpChecksum !== 0 && profile.udpChecksum === 'updated') {
    out.setUint16(checksumAt, udpUpdate16(udpUpdate32(udpChecksum, source, hop), before, after));
  } else if (udpChecksum !== 0 && profile.udpChecksum === 'updated-without-zero-rule') {
    out.setUint16(checksumAt, update32(update16(udpChecksum, before, after), source, hop));
  }
  trace.tell(
    `The packet goes to ${formatIpv4(hop)}`,
    `source and destination are new, the next hop is number ${after >>> 8}`,
  );
  return { reason: 'redirect', bytes };
}

/** Outer IPv4, GRE, and the inner packet with a TTL less one: the only step that does not keep next_hop, which ends loops. */
export function sendOnInGre({ site, data, trace }: Reading, wrapper: Wrapper, hop: number): Outgoing {
  trace.count('forwarded gre');
  const isIpv6 = wrapper.protocol === IP_PROTOCOL_IPV6;
  const ttlAt = isIpv6 ? IPV6_AT_HOP_LIMIT : IPV4_AT_TTL;
  const ttl = data.getUint8(wrapper.inner + ttlAt);
  if (ttl === 0) {
    trace.count('error redirect loop');
    trace.tell('The packet goes nowhere', 'the TTL of the inner packet is 0');
    return dropped('drop_redirect_loop');
  }
  const inner = bytesOf(data, wrapper.inner, wrapper.end);
  const length = IPV4_HEADER + GRE_HEADER + inner.length;
  if (length > site.mtu) {
    trace.count('error mtu');
    trace.tell('The packet is too big', `with GRE it has ${length} bytes, more than the MTU of ${site.mtu}`);
    return dropped('drop_too_big');
  }

  const bytes = new Uint8Array(length);
  const out = new DataView(bytes.buffer);
  bytes.set(bytesOf(data, 0, IPV4_HEADER));
  bytes.set(inner, IPV4_HEADER + GRE_HEADER);
  const shorter = wrapper.inner - IPV4_HEADER - GRE_HEADER;
  out.setUint16(IPV4_AT_TOTAL_LENGTH, data.getUint16(IPV4_AT_TOTAL_LENGTH) - shorter);
  out.setUint8(IPV4_AT_PROTOCOL, IP_PROTOCOL_GRE);
  out.setUint32(IPV4_AT_SOURCE, site.address);
  out.setUint32(IPV4_AT_DESTINATION, hop);
  writeHeaderChecksum(out, IPV4_HEADER);
  encodeGreInto(out, IPV4_HEADER, isIpv6 ? GRE_PROTOCOL_IPV6 : GRE_PROTOCOL_IPV4);

  const innerAt = IPV4_HEADER + GRE_HEADER;
  out.setUint8(innerAt + ttlAt, ttl - 1);
  if (!isIpv6) {
    const innerChecksum = out.getUint16(innerAt + IPV4_AT_CHECKSUM);
    out.setUint16(innerAt + IPV4_AT_CHECKSUM, update16(innerChecksum, ttl << 8, (ttl - 1) << 8));
  }
  trace.tell(
    `The packet goes to ${formatIpv4(hop)} in GRE`,
    'it is the last hop, and the wrapper asks for that',
  );
  return { reason: 'redirect_gre', bytes };
}

/** Where the outer packet ends by its own length, if that can be. */
function endOfOuter(profile: RedirectorProfile, data: DataView, { inner }: Wrapper): number {
  if (profile.outerPadding === 'kept') return data.byteLength;
  return Math.min(data.byteLength, Math.max(inner, data.getUint16(IPV4_AT_TOTAL_LENGTH)));
}

function writeHeaderChecksum(header: DataView, length: number): void {
  header.setUint16(IPV4_AT_CHECKSUM, 0);
  header.setUint16(IPV4_AT_CHECKSUM, checksum(header, 0, length));
}

function bytesOf(data: DataView, from: number, to: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset + from, to - from));
}
