/**
 * What published first stages do differently, as data: Twohop's forwarder, GitHub's director, Facebook's Katran. The
 * model ({@link ProfiledForwarder}) reads these fields and knows no system by name; what is no field here, all do alike.
 *
 * - `twohop`: ours; the hot `Forwarder` is its fast twin, held equal by tests.
 * - `github`: GLB's XDP director (`src/glb-hashing`, `src/glb-director-xdp` of github/glb-director); `githubDpdk` is
 *   the DPDK director, which fills the outer UDP checksum and drops what it cannot read.
 * - `katran`: `balancer.bpf.c` of facebookincubator/katran, as far as a load balancer that wraps in GUE can follow:
 *   its decisions and the fields it hashes. Its hash ring and its wrappers are its own, and ours stand in for them.
 *
 * `native-notes/forwarder-profiles.md` has the fields as a table, and says where `twohop` differs and why.
 */

/** What of a flow goes into its key. */
export type KeyField = 'source-address' | 'destination-address' | 'source-port' | 'destination-port';

/** Each field says what it decides. Values are plain data: a profile can be printed, compared, and changed field by field. */
export interface ForwarderProfile {
  // Reading the packet.

  /** Who says whether it is IPv4 or IPv6: its own header, or the link layer's type field. */
  readonly version: 'header' | 'link-layer';
  /**
   * Whether the lengths in an IP header must fit what came; headers are then read up to where the packet says it ends.
   * If trusted, headers are read up to the last byte that came, and the length is copied whatever it is.
   */
  readonly ipLength: 'checked' | 'trusted';
  /** Where ports are looked for: behind IPv4 options and IPv6 extension headers, or where they are without any. */
  readonly transportHeader: 'walked' | 'fixed-offset';
  /** How much of a transport header must be there: all of it, with a sound TCP data offset; its fixed part; its ports. */
  readonly transportChecked: 'whole' | 'fixed-part' | 'ports';
  /** What becomes of IPv4 packets with options, and of ICMP errors that quote one. */
  readonly ipv4Options: 'carried' | 'dropped';
  /**
   * What becomes of fragments: what the service says (dropped, or later ones sent after the first), dropped in any case,
   * or taken for whole. Of what is not served, all are passed.
   */
  readonly fragments: 'by-service' | 'dropped' | 'carried';
  /** Whether ESP (IPsec) is served where a service has it, or is a protocol like any other. */
  readonly esp: 'served' | 'as-other-protocols';
  /** What becomes of a packet that neither is TCP or UDP nor ICMP; if forwarded, its first bytes are taken for ports. */
  readonly otherProtocols: 'pass' | 'forward';
  /** What becomes of a packet whose headers cannot be read. */
  readonly unreadable: 'drop' | 'pass';
  /** Whether that holds too where the IP header can be read, and its destination is not served; or else it is passed. */
  readonly unreadableForOthers: 'pass' | 'alike';

  // ICMP.

  /** How many bytes of an ICMP message must be there before its type is looked at. */
  readonly icmpHeader: { readonly ipv4: number; readonly ipv6: number };
  /** Types of the errors that follow the flow they quote. */
  readonly icmpErrors: { readonly ipv4: readonly number[]; readonly ipv6: readonly number[] };
  /** Whether an ICMP error must be addressed to the sender of the packet that it quotes, and that be a VIP. */
  readonly icmpDestination: 'checked' | 'ignored';
  /** How much of the quoted transport header must be there. RFC 792 promises eight bytes. */
  readonly quotedTransport: 'fixed-part' | 'ports';
  /** What becomes of an error that quotes a later fragment, which has no ports. */
  readonly quotedFragments: 'dropped' | 'taken-for-whole';
  /** Whether echo requests are answered on the spot, or treated as other ICMP. */
  readonly echoRequests: 'answered' | 'as-other-icmp';
  /** What becomes of ICMP that belongs to no flow; if forwarded, it is hashed with ports 0. */
  readonly otherIcmp: 'pass' | 'forward';

  // Key, hash and row.

  /** The fields of the key, concatenated in network order. A service may have its own. */
  readonly keyFields: readonly KeyField[];
  /** Fields of a second key, whose row's hops follow those of the first: for changing `keyFields` without breaking flows. */
  readonly alternativeKeyFields: readonly KeyField[] | null;
  readonly hash: 'halfsiphash-2-4' | 'siphash-2-4';

  // What leaves.

  /** What it means that the first hop is this server: the redirector's decision is made at once, or nothing. */
  readonly firstHopIsSelf: 'decide' | 'send';
  /** What must not exceed the MTU: the wrapped packet that of the underlay, or the packet as it came that of the link. */
  readonly mtu: 'of-wrapped' | 'of-received' | 'ignored';
  /**
   * Outer UDP source port, which spreads flows: bit 15 set, and 15 bits of the hash; or the low ones of the hash, mixed
   * with a hint (the client's port; for ICMP without a flow the IPv4 identification or the IPv6 flow label).
   */
  readonly sourcePort: 'upper-hash-bits' | 'lower-hash-bits-and-hint';
  /** Outer UDP checksum: none, or over the whole wrapped packet. */
  readonly udpChecksum: 'zero' | 'filled';
  /** What follows the packet by its own length: cut, or carried behind the wrapped packet's end. */
  readonly padding: 'cut' | 'carried';
}

export const FOUR_TUPLE: readonly KeyField[] = [
  'source-address',
  'destination-address',
  'source-port',
  'destination-port',
];

/** Twohop: reads before it believes, and leaves to the kernel what it does not serve. */
export const twohop: ForwarderProfile = {
  version: 'header',
  ipLength: 'checked',
  transportHeader: 'walked',
  transportChecked: 'whole',
  ipv4Options: 'carried',
  fragments: 'by-service',
  esp: 'served',
  otherProtocols: 'pass',
  unreadable: 'drop',
  unreadableForOthers: 'pass',

  icmpHeader: { ipv4: 8, ipv6: 8 },
  icmpErrors: { ipv4: [3, 11, 12], ipv6: [1, 2, 3, 4] },
  icmpDestination: 'checked',
  quotedTransport: 'ports',
  quotedFragments: 'dropped',
  echoRequests: 'as-other-icmp',
  otherIcmp: 'pass',

  keyFields: FOUR_TUPLE,
  alternativeKeyFields: null,
  hash: 'halfsiphash-2-4',

  firstHopIsSelf: 'decide',
  mtu: 'of-wrapped',
  sourcePort: 'upper-hash-bits',
  udpChecksum: 'zero',
  padding: 'cut',
};

/** GitHub's XDP director: one look at fixed places, and everything that is readable is sent. */
export const github: ForwarderProfile = {
  version: 'link-layer',
  ipLength: 'trusted',
  transportHeader: 'fixed-offset',
  transportChecked: 'ports',
  ipv4Options: 'carried',
  fragments: 'carried',
  esp: 'as-other-protocols',
  otherProtocols: 'forward',
  unreadable: 'pass',
  unreadableForOthers: 'alike',

  icmpHeader: { ipv4: 8, ipv6: 4 },
  icmpErrors: { ipv4: [3], ipv6: [2] },
  icmpDestination: 'ignored',
  quotedTransport: 'ports',
  quotedFragments: 'taken-for-whole',
  echoRequests: 'as-other-icmp',
  otherIcmp: 'forward',

  keyFields: ['source-address'],
  alternativeKeyFields: null,
  hash: 'siphash-2-4',

  firstHopIsSelf: 'send',
  mtu: 'ignored',
  sourcePort: 'lower-hash-bits-and-hint',
  udpChecksum: 'zero',
  padding: 'carried',
};

/** GitHub's DPDK director. */
export const githubDpdk: ForwarderProfile = { ...github, udpChecksum: 'filled', unreadable: 'drop' };

/** Facebook's Katran: reads at fixed places too, and drops what would move them. */
export const katran: ForwarderProfile = {
  version: 'link-layer',
  ipLength: 'trusted',
  transportHeader: 'fixed-offset',
  transportChecked: 'fixed-part',
  ipv4Options: 'dropped',
  fragments: 'dropped',
  esp: 'as-other-protocols',
  otherProtocols: 'pass',
  unreadable: 'drop',
  unreadableForOthers: 'alike',

  icmpHeader: { ipv4: 8, ipv6: 8 },
  icmpErrors: { ipv4: [3], ipv6: [1, 2] },
  icmpDestination: 'ignored',
  quotedTransport: 'fixed-part',
  quotedFragments: 'taken-for-whole',
  echoRequests: 'answered',
  otherIcmp: 'pass',

  keyFields: ['source-address', 'source-port', 'destination-port'],
  alternativeKeyFields: null,
  hash: 'halfsiphash-2-4',

  firstHopIsSelf: 'send',
  mtu: 'of-received',
  sourcePort: 'upper-hash-bits',
  udpChecksum: 'zero',
  padding: 'carried',
};

/** By name, as the command line has it. */
export const FORWARDER_PROFILES: Readonly<
  Record<'twohop' | 'github' | 'github-dpdk' | 'katran', ForwarderProfile>
> = { twohop, github, 'github-dpdk': githubDpdk, katran };
