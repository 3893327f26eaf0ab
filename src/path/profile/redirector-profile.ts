/**
 * What published redirectors do differently, as data. The model ({@link ProfiledRedirector}) reads these fields and
 * knows no system by name; what is no field here, all three do alike.
 *
 * - `twohop`: ours; the hot `Redirector` is its fast twin, held equal by tests.
 * - `cloudflare`: the eBPF program that Cloudflare published (`test_cls_redirect.c` of the Linux selftests).
 * - `github`: the netfilter module of GitHub's GLB (`ipt_GLBREDIRECT.c`), with the kernel's own input in front of it.
 *
 * `native-notes/profiles.md` has the fields as a table, and says where `twohop` differs and why.
 */

/** ICMP messages that belong to no flow. */
export type IcmpKind = 'echo-request' | 'echo-reply' | 'other';

/** Each field says what it decides. Values are plain data: a profile can be printed, compared, and changed field by field. */
export interface RedirectorProfile {
  // The wrapper: outer IPv4, UDP, GUE, and the hop list.

  /** What becomes of a packet for another address, protocol or port. Ours: a port that carries only GUE has nothing to pass to. */
  readonly notForUs: 'pass' | 'drop';
  /** What becomes of a packet that ends before the hop list would begin. */
  readonly shortWrapper: 'pass' | 'drop';
  /** Whether an outer IPv4 header with options is read, or the packet passed. */
  readonly outerOptions: 'read' | 'pass';
  /** Whether the outer version, header length and total length are looked at; if not, the packet ends where the bytes do. */
  readonly outerLength: 'checked' | 'ignored';
  /** Whether any outer fragment is dropped, or only one whose address, protocol and (alleged) port are ours. */
  readonly outerFragment: 'drop' | 'drop-if-ours';
  /** Whether the length field of the outer UDP header is looked at; if so, the packet ends where it says. */
  readonly udpLength: 'checked' | 'ignored';
  /** Whether wrapped packets are taken from addresses of the underlay only. */
  readonly underlaySource: 'checked' | 'ignored';
  /** Whether GUE variant, control bit and flags must be 0. */
  readonly gueFlags: 'checked' | 'ignored';
  /** Whether version and reserved byte of the private data must be 0. */
  readonly privateVersion: 'checked' | 'ignored';
  /** What becomes of a packet that has one of the two unused bits of the private data set. */
  readonly unusedBits: 'refused' | 'ignored';
  /** Whether the bit that asks for SYNs to go on to the next hop is followed. */
  readonly forwardSyn: 'followed' | 'ignored';
  /** What the bit does that asks for GRE on the way to the last hop. */
  readonly lastHopGre: 'followed' | 'ignored' | 'refused';
  /** What becomes of a packet whose next hop lies beyond the end of its list. */
  readonly nextHopBeyondList: 'drop' | 'last-hop';
  /** How many hops before the next one, and how many behind it, can be stepped over; a packet with more is dropped. */
  readonly mostSkippedHops: number;
  /** Whether a hop of 0.0.0.0 means that there is none, or is an address like any other. */
  readonly zeroHop: 'last-hop' | 'address';
  /** Whether packets are sent on to addresses of the underlay only. */
  readonly underlayHop: 'checked' | 'ignored';

  // The inner packet.

  /** Whether the inner packet is read where there is no further hop, or taken in unread. */
  readonly innerAtLastHop: 'read' | 'unread';
  /** Whether the version in the inner header must be the one that GUE announces. */
  readonly innerVersion: 'checked' | 'ignored';
  /** Whether an IPv4 header length below 20 bytes, inner or quoted, is refused. */
  readonly ipv4HeaderLength: 'checked' | 'ignored';
  /** Whether the length field of the inner IP header is looked at; if so, the inner packet ends where it says. */
  readonly innerLength: 'checked' | 'ignored';
  /**
   * What becomes of inner fragments: what the service says (dropped, or later ones ending as the first did); dropped; or
   * those of IPv4 read as if they were whole packets.
   */
  readonly fragments: 'by-service' | 'drop' | 'read-ipv4';
  /** Whether ESP (IPsec) is served where a service has it, or is a protocol like any other. */
  readonly esp: 'served' | 'as-other-protocols';
  /**
   * What an IPv6 fragment header is: understood (8 bytes, whole when nothing else belongs to the packet (RFC 6946), and
   * nothing is read behind a later fragment's); stepped over like any extension header, and the packet a fragment
   * whatever it says; or an unknown protocol.
   */
  readonly fragmentHeader: 'understood' | 'stepped-over' | 'unknown';
  /** Next-header numbers of the other IPv6 extension headers that are stepped over; the rest are transport protocols. */
  readonly extensionHeaders: readonly number[];
  /** How many extension headers are stepped over; a packet with more is malformed. */
  readonly mostExtensionHeaders: number;
  /** Whether the inner packet must be for a VIP and service that is configured. */
  readonly services: 'checked' | 'ignored';
  /** Whether the TCP data offset must lie between 20 bytes and the end of the packet. */
  readonly tcpDataOffset: 'checked' | 'ignored';

  // The decision.

  /** Whether UDP belongs to the server with a connected socket, or is taken in by the first server unread. */
  readonly udp: 'by-socket' | 'accept';
  /** Which ICMP messages that belong to no flow any server takes in; others are dropped. */
  readonly icmpAccepted: readonly IcmpKind[];
  /** Which ICMP errors follow the flow that they quote: all, or only "fragmentation needed" and "packet too big". */
  readonly icmpErrors: 'all' | 'too-big';
  /** Whether an ICMP error must be addressed to the sender of the packet that it quotes. */
  readonly icmpDestination: 'checked' | 'ignored';
  /** Whether the version in a quoted header must be that of the ICMP message. */
  readonly quotedVersion: 'checked' | 'ignored';
  /** Whether the length field of a quoted header is looked at: ports are then never read beyond the quoted packet. */
  readonly quotedLength: 'checked' | 'ignored';
  /**
   * What becomes of an error that quotes a fragment: dropped where it is a later one, which has no ports; dropped where
   * it is any fragment of IPv6; or read as if it were a whole packet.
   */
  readonly quotedFragment: 'drop-later' | 'drop-ipv6' | 'read';
  /** What becomes of an error that quotes neither TCP nor UDP; `as-tcp`: the protocol is not looked at, and TCP assumed. */
  readonly quotedProtocol: 'accept' | 'drop' | 'as-tcp';
  /** Whether an ACK that is also a FIN can complete a handshake by SYN cookie. */
  readonly cookieWithFin: 'accepted' | 'refused';
  /** Whether sockets are asked although there is no further hop: the packet is taken in anyway, and counted otherwise. */
  readonly socketsAtLastHop: 'asked' | 'not-asked';
  /** What a next hop that is this server means: take the packet in, or send it to ourselves. */
  readonly nextHopIsSelf: 'accept' | 'send';

  // What leaves.

  /** What follows the inner packet by its own length, when it is taken in. */
  readonly innerPadding: 'cut' | 'kept';
  /** What follows the outer packet by its own length, when it is sent on. */
  readonly outerPadding: 'cut' | 'kept';
  /** The outer IPv4 checksum of a packet that is sent on: updated (a wrong one stays wrong), or computed anew. */
  readonly ipv4Checksum: 'updated' | 'computed';
  /**
   * A non-zero outer UDP checksum of a packet that is sent on: updated, updated without the rule that it must not
   * become 0 (RFC 768: 0 is none), or left as it is and wrong from then on.
   */
  readonly udpChecksum: 'updated' | 'updated-without-zero-rule' | 'left';
}

/** Twohop: the best of each, and nothing that a wrapper says is believed unchecked. */
export const twohop: RedirectorProfile = {
  notForUs: 'drop',
  shortWrapper: 'drop',
  outerOptions: 'read',
  outerLength: 'checked',
  outerFragment: 'drop',
  udpLength: 'checked',
  underlaySource: 'checked',
  gueFlags: 'checked',
  privateVersion: 'checked',
  unusedBits: 'refused',
  forwardSyn: 'followed',
  lastHopGre: 'refused',
  nextHopBeyondList: 'drop',
  mostSkippedHops: 30,
  zeroHop: 'last-hop',
  underlayHop: 'checked',

  innerAtLastHop: 'read',
  innerVersion: 'checked',
  ipv4HeaderLength: 'checked',
  innerLength: 'checked',
  fragments: 'by-service',
  esp: 'served',
  fragmentHeader: 'understood',
  extensionHeaders: [0, 43, 51, 60, 135, 139, 140],
  mostExtensionHeaders: 8,
  services: 'checked',
  tcpDataOffset: 'checked',

  udp: 'by-socket',
  icmpAccepted: ['echo-request', 'echo-reply', 'other'],
  icmpErrors: 'all',
  icmpDestination: 'checked',
  quotedVersion: 'checked',
  quotedLength: 'checked',
  quotedFragment: 'drop-later',
  quotedProtocol: 'accept',
  cookieWithFin: 'refused',
  socketsAtLastHop: 'not-asked',
  nextHopIsSelf: 'accept',

  innerPadding: 'cut',
  outerPadding: 'kept',
  ipv4Checksum: 'updated',
  udpChecksum: 'updated',
};

/** Cloudflare's published eBPF program: passes what may be somebody else's, drops what it does not expect. */
export const cloudflare: RedirectorProfile = {
  notForUs: 'pass',
  shortWrapper: 'pass',
  outerOptions: 'pass',
  outerLength: 'ignored',
  outerFragment: 'drop-if-ours',
  udpLength: 'ignored',
  underlaySource: 'ignored',
  gueFlags: 'checked',
  privateVersion: 'checked',
  unusedBits: 'ignored',
  forwardSyn: 'followed',
  lastHopGre: 'followed',
  nextHopBeyondList: 'drop',
  mostSkippedHops: 1,
  zeroHop: 'last-hop',
  underlayHop: 'ignored',

  innerAtLastHop: 'unread',
  innerVersion: 'checked',
  ipv4HeaderLength: 'checked',
  innerLength: 'ignored',
  fragments: 'drop',
  esp: 'as-other-protocols',
  fragmentHeader: 'stepped-over',
  extensionHeaders: [0, 43, 60, 135],
  mostExtensionHeaders: 5,
  services: 'ignored',
  tcpDataOffset: 'ignored',

  udp: 'by-socket',
  icmpAccepted: ['echo-request'],
  icmpErrors: 'too-big',
  icmpDestination: 'ignored',
  quotedVersion: 'ignored',
  quotedLength: 'ignored',
  quotedFragment: 'drop-ipv6',
  quotedProtocol: 'drop',
  cookieWithFin: 'accepted',
  socketsAtLastHop: 'not-asked',
  nextHopIsSelf: 'send',

  innerPadding: 'kept',
  outerPadding: 'kept',
  ipv4Checksum: 'updated',
  udpChecksum: 'left',
};

/**
 * GitHub's netfilter module: looks for TCP connections, and leaves everything else to the kernel behind it. The kernel
 * in front of it has checked and cut the outer packet, and holds outer fragments until they are whole.
 */
export const github: RedirectorProfile = {
  notForUs: 'pass',
  shortWrapper: 'drop',
  outerOptions: 'read',
  outerLength: 'checked',
  outerFragment: 'drop-if-ours',
  udpLength: 'ignored',
  underlaySource: 'ignored',
  gueFlags: 'ignored',
  privateVersion: 'ignored',
  unusedBits: 'ignored',
  forwardSyn: 'ignored',
  lastHopGre: 'ignored',
  nextHopBeyondList: 'last-hop',
  mostSkippedHops: 30,
  zeroHop: 'address',
  underlayHop: 'ignored',

  innerAtLastHop: 'read',
  innerVersion: 'ignored',
  ipv4HeaderLength: 'ignored',
  innerLength: 'ignored',
  fragments: 'read-ipv4',
  esp: 'as-other-protocols',
  fragmentHeader: 'unknown',
  extensionHeaders: [],
  mostExtensionHeaders: 0,
  services: 'ignored',
  tcpDataOffset: 'ignored',

  udp: 'accept',
  icmpAccepted: ['echo-request', 'echo-reply', 'other'],
  icmpErrors: 'too-big',
  icmpDestination: 'ignored',
  quotedVersion: 'ignored',
  quotedLength: 'ignored',
  quotedFragment: 'read',
  quotedProtocol: 'as-tcp',
  cookieWithFin: 'refused',
  socketsAtLastHop: 'asked',
  nextHopIsSelf: 'accept',

  innerPadding: 'kept',
  outerPadding: 'cut',
  ipv4Checksum: 'computed',
  udpChecksum: 'updated-without-zero-rule',
};

/** By name, as configuration and the command line have it. */
export const REDIRECTOR_PROFILES: Readonly<Record<'twohop' | 'cloudflare' | 'github', RedirectorProfile>> = {
  twohop,
  cloudflare,
  github,
};
