/**
 * Link-layer headers of captured packets: where the IP header is.
 *
 * The numbers are LINKTYPE_ values of capture files (the registry at tcpdump.org/linktypes.html). Nothing here looks at
 * the IP header itself: whether it is one is found by whoever parses it.
 *
 * Sources: IEEE 802.3, 802.1Q, 802.1ad; the descriptions of each link type in the registry; RFC 1042 (LLC and SNAP).
 */
export const LINKTYPE = {
  /** Four bytes of address family in the byte order of the machine that captured. */
  NULL: 0,
  ETHERNET: 1,
  /** Raw IP as some systems number it in files: what they call it inside, DLT_RAW. */
  RAW_DLT: 12,
  /** The same on OpenBSD. */
  RAW_DLT_OPENBSD: 14,
  /** Raw IP, version 4 or 6 by its first four bits. */
  RAW: 101,
  /** Four bytes of address family in network order. */
  LOOP: 108,
  /** "Linux cooked": what the pseudo-device `any` gives. */
  LINUX_SLL: 113,
  IPV4: 228,
  IPV6: 229,
  LINUX_SLL2: 276,
} as const;

// Constants of this module: V8 folds them into the code, where it loads an object's at every use
// (native-notes/benchmarks.md).
const { NULL, ETHERNET, RAW_DLT, RAW_DLT_OPENBSD, RAW, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 } = LINKTYPE;

/** What {@link ipOffset} answers instead of an offset. */
export const NO_IP = -1;
export const CUT_BEFORE_IP = -2;
export const UNSUPPORTED_LINK_TYPE = -3;

const ETHERNET_HEADER = 14;
const ETHERNET_AT_TYPE = 12;
const VLAN_TAG = 4;
const SLL_HEADER = 16;
const SLL_AT_PROTOCOL = 14;
const SLL2_HEADER = 20;
const FAMILY_HEADER = 4;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_PROVIDER_VLAN = 0x88a8;
/** Provider tags before they had a number of their own. */
const ETHERTYPE_OLD_PROVIDER_VLAN = 0x9100;

const FAMILY_INET = 2;

/**
 * @param linkType LINKTYPE_ number; @param offset start of the frame; @param limit one past its last byte present
 * @returns offset of the IP header; {@link NO_IP} when the frame carries something else (ARP ...),
 *   {@link CUT_BEFORE_IP} when it ends before that can be told, {@link UNSUPPORTED_LINK_TYPE}
 */
export function ipOffset(linkType: number, data: DataView, offset: number, limit: number): number {
  switch (linkType) {
    case ETHERNET:
      if (offset + ETHERNET_HEADER > limit) return CUT_BEFORE_IP;
      return behindType(data.getUint16(offset + ETHERNET_AT_TYPE), data, offset + ETHERNET_HEADER, limit);
    case RAW:
    case RAW_DLT:
    case RAW_DLT_OPENBSD:
      return rawIp(data, offset, limit);
    case IPV4:
    case IPV6:
      return offset < limit ? offset : CUT_BEFORE_IP;
    case LINUX_SLL:
      if (offset + SLL_HEADER > limit) return CUT_BEFORE_IP;
      return behindType(data.getUint16(offset + SLL_AT_PROTOCOL), data, offset + SLL_HEADER, limit);
    case LINUX_SLL2:
      if (offset + SLL2_HEADER > limit) return CUT_BEFORE_IP;
      return behindType(data.getUint16(offset), data, offset + SLL2_HEADER, limit);
    case NULL:
    case LOOP:
      return behindFamily(linkType, data, offset, limit);
    default:
      return UNSUPPORTED_LINK_TYPE;
  }
}

/** Walks VLAN tags, however many: each is two bytes of tag and the next EtherType. */
function behindType(first: number, data: DataView, start: number, limit: number): number {
  let type = first;
  let at = start;
  while (
    type === ETHERTYPE_VLAN ||
    type === ETHERTYPE_PROVIDER_VLAN ||
    type === ETHERTYPE_OLD_PROVIDER_VLAN
  ) {
    if (at + VLAN_TAG > limit) return CUT_BEFORE_IP;
    type = data.getUint16(at + 2);
    at += VLAN_TAG;
  }
  if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return NO_IP;
  return at < limit ? at : CUT_BEFORE_IP;
}

function rawIp(data: DataView, offset: number, limit: number): number {
  if (offset >= limit) return CUT_BEFORE_IP;
  const version = data.getUint8(offset) >>> 4;
  return version === 4 || version === 6 ? offset : NO_IP;
}

/** The family is small, so of the two byte orders the one with the smaller value is meant. */
function behindFamily(linkType: number, data: DataView, offset: number, limit: number): number {
  if (offset + FAMILY_HEADER > limit) return CUT_BEFORE_IP;
  const network = data.getUint32(offset);
  const family = linkType === NULL ? Math.min(network, data.getUint32(offset, true)) : network;
  if (family !== FAMILY_INET && !isInet6(family)) return NO_IP;
  return offset + FAMILY_HEADER < limit ? offset + FAMILY_HEADER : CUT_BEFORE_IP;
}

/** AF_INET6 is 10 on Linux, 23 on Windows, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS. */
function isInet6(family: number): boolean {
  return family === 30 || family === 10 || family === 24 || family === 28 || family === 23;
}
