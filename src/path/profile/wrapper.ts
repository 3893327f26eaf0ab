import { formatIpv4 } from '../../wire/address.js';
import {
  GUE_AT_FLAGS,
  GUE_AT_HOP_COUNT,
  GUE_AT_HOPS,
  GUE_AT_NEXT_HOP,
  GUE_AT_PROTO,
  GUE_AT_RESERVED,
  GUE_AT_VERSION,
  GUE_HEADER,
  GUE_HOP,
} from '../../wire/gue.js';
import { IP_PROTOCOL_UDP } from '../../wire/ip.js';
import {
  IPV4_AT_DESTINATION,
  IPV4_AT_FLAGS,
  IPV4_AT_PROTOCOL,
  IPV4_AT_SOURCE,
  IPV4_AT_TOTAL_LENGTH,
  IPV4_HEADER,
} from '../../wire/ipv4.js';
import { UDP_AT_DESTINATION_PORT, UDP_AT_LENGTH, UDP_HEADER } from '../../wire/udp.js';
import type { Reading } from './reading.js';
import type { RedirectReason } from './redirect-reason.js';
import type { RedirectTrace } from './redirect-trace.js';
import type { RedirectorProfile } from './redirector-profile.js';

/** First part of the model: outer IPv4, UDP, GUE and the hop list. Offsets are from the start of the packet. */

export interface Wrapper {
  /** Start of the outer UDP header. */
  readonly udp: number;
  /** Start of the inner packet. */
  readonly inner: number;
  /** One past the last byte that the lengths in the wrapper, as far as they are looked at, leave to the inner packet. */
  readonly end: number;
  /** What GUE says is inside: 4 (IPv4), 41 (IPv6), or anything. */
  readonly protocol: number;
  /** Address of the next hop as a number, or null where there is none. */
  readonly hop: number | null;
  /** The wrapper asks that a SYN goes on to the next hop too. */
  readonly forwardSyn: boolean;
  /** The wrapper asks for GRE, and the next hop is the last one. */
  readonly gre: boolean;
}

/** UDP, GUE, and the private data without hops: what has to follow the outer IPv4 header. */
const LEAST_BEHIND_IP = UDP_HEADER + GUE_AT_HOPS;
/** Bits of the private data's first byte. */
const PRIVATE_VERSION = 0xf0;
const FORWARD_SYN = 0x08;
const LAST_HOP_GRE = 0x04;
const UNUSED_BITS = 0x03;

export function readWrapper({ profile, site, data: packet, trace }: Reading): Wrapper | RedirectReason {
  const present = packet.byteLength;
  const tooShort = (what: string): RedirectReason => {
    trace.tell('The wrapper is incomplete', `the packet ends before ${what} does`);
    return profile.shortWrapper === 'pass' ? 'pass_not_ours' : 'drop_malformed_gue';
  };
  const notOurs = (because: string): RedirectReason => {
    trace.tell('The packet is not for this redirector', because);
    return profile.notForUs === 'pass' ? 'pass_not_ours' : 'drop_not_ours';
  };
  const malformed = (because: string): RedirectReason => {
    trace.count('error malformed encapsulation');
    trace.tell('The wrapper is malformed', because);
    return 'drop_malformed_gue';
  };

  if (present < IPV4_HEADER) return tooShort('the outer IPv4 header');
  const headerLength = (packet.getUint8(0) & 0x0f) << 2;
  if (profile.outerOptions === 'pass' && headerLength !== IPV4_HEADER) {
    trace.tell(
      'The packet is not for this redirector',
      `no sender of ours makes a header of ${headerLength} bytes`,
    );
    return 'pass_not_ours';
  }
  let end = present;
  if (profile.outerLength === 'checked') {
    const totalLength = packet.getUint16(IPV4_AT_TOTAL_LENGTH);
    if (packet.getUint8(0) >>> 4 !== 4 || headerLength < IPV4_HEADER)
      return malformed('the outer header is not IPv4');
    if (totalLength > present || totalLength < headerLength) {
      return malformed(`the outer total length is ${totalLength}, and ${present} bytes are there`);
    }
    end = totalLength;
  }

  const isFragment = (packet.getUint16(IPV4_AT_FLAGS) & 0x3fff) !== 0;
  const fragment = (): RedirectReason => {
    trace.count('error fragmented ip');
    trace.tell('The outer packet is a fragment', 'the flags and the offset of its header are not 0');
    return 'drop_fragment';
  };
  if (isFragment && profile.outerFragment === 'drop') return fragment();
  const protocol = packet.getUint8(IPV4_AT_PROTOCOL);
  if (protocol !== IP_PROTOCOL_UDP) return notOurs(`the outer protocol is ${protocol}, not UDP`);
  const udp = headerLength;
  if (end - udp < LEAST_BEHIND_IP) return tooShort('the private data of GUE');
  const destination = packet.getUint32(IPV4_AT_DESTINATION);
  const port = packet.getUint16(udp + UDP_AT_DESTINATION_PORT);
  if (destination !== site.address || port !== site.port) {
    return notOurs(
      `it is for ${formatIpv4(destination)} port ${port}, this is ${formatIpv4(site.address)} port ${site.port}`,
    );
  }
  if (isFragment) return fragment();
  if (profile.udpLength === 'checked') {
    const length = packet.getUint16(udp + UDP_AT_LENGTH);
    if (length > end - udp) {
      return malformed(`the outer UDP length is ${length}, and ${end - udp} bytes are there`);
    }
    end = udp + length;
  }
  const source = packet.getUint32(IPV4_AT_SOURCE);
  if (profile.underlaySource === 'checked' && !site.isUnderlay(source)) {
    trace.tell('The packet is from a stranger', `${formatIpv4(source)} is no address of the underlay`);
    return 'drop_stranger';
  }
  trace.tell('The packet is for this redirector', `UDP to ${formatIpv4(destination)} port ${port}`);
  return readGue(profile, packet, udp, end, trace, malformed);
}

function readGue(
  profile: RedirectorProfile,
  packet: DataView,
  udp: number,
  end: number,
  trace: RedirectTrace,
  malformed: (because: string) => RedirectReason,
): Wrapper | RedirectReason {
  const gue = udp + UDP_HEADER;
  const first = packet.getUint8(gue);
  if (profile.gueFlags === 'checked') {
    if (first >>> 6 !== 0) return malformed(`the GUE variant is ${first >>> 6}, not 0`);
    if ((first & 0x20) !== 0) return malformed('the GUE control bit is set');
    const flags = packet.getUint16(gue + GUE_AT_FLAGS);
    if (flags !== 0) return malformed(`the GUE flags are 0x${flags.toString(16)}, not 0`);
  }
  const words = first & 0x1f;
  const hopCount = packet.getUint8(gue + GUE_AT_HOP_COUNT);
  const isContradiction = words !== 1 + hopCount;
  const privateFlags = packet.getUint8(gue + GUE_AT_VERSION);
  const refused = refusedPrivateFlags(profile, privateFlags);
  const reserved = packet.getUint8(gue + GUE_AT_RESERVED);
  if (refused !== null) return malformed(refused);
  // The one malformation that is not counted, unless there is another.
  if (isContradiction) trace.count('error malformed encapsulation');
  if (profile.privateVersion === 'checked' && reserved !== 0) {
    trace.tell('The wrapper is malformed', `the reserved byte is ${reserved}, not 0`);
    return 'drop_malformed_gue';
  }
  if (isContradiction) {
    trace.tell(
      'The hop list contradicts itself',
      `GUE has ${words} words of private data, for ${hopCount} hops`,
    );
    return 'drop_hop_list';
  }

  const nextHop = packet.getUint8(gue + GUE_AT_NEXT_HOP);
  const inner = gue + GUE_HEADER + words * 4;
  const badList = (because: string): RedirectReason => {
    trace.tell('The hop list cannot be used', because);
    return 'drop_hop_list';
  };
  if (profile.nextHopBeyondList === 'drop' && nextHop > hopCount) {
    return badList(`the next hop is number ${nextHop} of a list of ${hopCount}`);
  }
  if (inner > end) return badList(`the packet ends before the list of ${hopCount} hops does`);
  const unused = hopCount - nextHop - 1;
  if (nextHop > profile.mostSkippedHops || unused > profile.mostSkippedHops) {
    const skipped = `${nextHop} hops before the next one and ${Math.max(0, unused)} behind it`;
    return badList(`${skipped}, where no more than ${profile.mostSkippedHops} can be stepped over`);
  }

  return {
    udp,
    inner,
    end,
    protocol: packet.getUint8(gue + GUE_AT_PROTO),
    hop: findHop(profile, packet, gue, nextHop, hopCount, trace),
    forwardSyn: profile.forwardSyn === 'followed' && (privateFlags & FORWARD_SYN) !== 0,
    gre: profile.lastHopGre === 'followed' && (privateFlags & LAST_HOP_GRE) !== 0 && unused === 0,
  };
}

/** @returns what is wrong with the first byte of the private data, or null */
function refusedPrivateFlags(profile: RedirectorProfile, flags: number): string | null {
  if (profile.privateVersion === 'checked' && (flags & PRIVATE_VERSION) !== 0) {
    return `the version of the private data is ${flags >>> 4}, not 0`;
  }
  if (profile.unusedBits === 'refused' && (flags & UNUSED_BITS) !== 0) {
    return 'a bit of the private data is set that nobody has given a meaning';
  }
  if (profile.lastHopGre === 'refused' && (flags & LAST_HOP_GRE) !== 0) {
    return 'it asks for GRE on the way to the last hop, which is not understood here';
  }
  return null;
}

function findHop(
  profile: RedirectorProfile,
  packet: DataView,
  gue: number,
  nextHop: number,
  hopCount: number,
  trace: RedirectTrace,
): number | null {
  if (nextHop >= hopCount) {
    const why = hopCount === 0 ? 'the hop list is empty' : `all of the ${hopCount} hops in the list are used`;
    trace.tell('There is no further hop', why);
    return null;
  }
  const hop = packet.getUint32(gue + GUE_AT_HOPS + nextHop * GUE_HOP);
  if (hop === 0 && profile.zeroHop === 'last-hop') {
    trace.tell('There is no further hop', `hop ${nextHop} is 0.0.0.0, which stands for none`);
    return null;
  }
  trace.tell(`The next hop is ${formatIpv4(hop)}`, `it is number ${nextHop} of ${hopCount} in the hop list`);
  return hop;
}
