import type { ProfiledRedirector } from '../../path/profile/profiled-redirector.js';
import type { RedirectAction } from '../../path/profile/redirect-reason.js';
import type { RedirectEvent, RedirectStep } from '../../path/profile/redirect-trace.js';
import { IP_PROTOCOL_IPV6 } from '../../wire/ip.js';
import { AT_ETHERTYPE, ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, MAC } from './ethernet.js';

/**
 * The published program's surroundings: it is a traffic-control filter, sees Ethernet frames, gives the filter's
 * verdicts, and has counters under its own names.
 */

export interface FrameOutcome {
  /** As in `linux/pkt_cls.h`. */
  readonly verdict: 'TC_ACT_OK' | 'TC_ACT_SHOT' | 'TC_ACT_REDIRECT';
  readonly action: 'pass' | 'drop' | 'decap' | 'forward_gue' | 'forward_gre';
  /** The frame that leaves, or null when none does. */
  readonly out: Uint8Array | null;
  /** Those that are not zero. */
  readonly counters: ReadonlyMap<string, number>;
  readonly steps: readonly RedirectStep[];
}

/** Of GUE's Proto in a frame: the program takes no outer IPv4 header with options. */
const AT_GUE_PROTO = ETHERNET_HEADER + 20 + 8 + 1;

const ACTIONS = {
  pass: ['TC_ACT_OK', 'pass'],
  drop: ['TC_ACT_SHOT', 'drop'],
  accept: ['TC_ACT_REDIRECT', 'decap'],
  redirect: ['TC_ACT_REDIRECT', 'forward_gue'],
  'redirect-gre': ['TC_ACT_REDIRECT', 'forward_gre'],
} as const satisfies Record<RedirectAction, readonly [FrameOutcome['verdict'], FrameOutcome['action']]>;

/** The program's counters; null for what it has none for. */
const COUNTERS: Readonly<Record<RedirectEvent, string | null>> = {
  'l3 ipv4': 'l3_protocol_packets_total_ipv4',
  'l3 ipv6': 'l3_protocol_packets_total_ipv6',
  'l4 tcp': 'l4_protocol_packets_total_tcp',
  'l4 udp': 'l4_protocol_packets_total_udp',
  'accepted syn': 'accepted_packets_total_syn',
  'accepted syn cookie': 'accepted_packets_total_syn_cookies',
  'accepted established': 'accepted_packets_total_established',
  'accepted last hop': 'accepted_packets_total_last_hop',
  'accepted self': null,
  'accepted session': null,
  'accepted udp': null,
  'accepted icmp echo request': 'accepted_packets_total_icmp_echo_request',
  'accepted icmp': null,
  'forwarded gue': 'forwarded_packets_total_gue',
  'forwarded gre': 'forwarded_packets_total_gre',
  'error malformed encapsulation': 'errors_total_malformed_encapsulation',
  'error unknown l3': 'errors_total_unknown_l3_proto',
  'error malformed ip': 'errors_total_malformed_ip',
  'error fragmented ip': 'errors_total_fragmented_ip',
  'error unknown l4': 'errors_total_unknown_l4_proto',
  'error malformed tcp': 'errors_total_malformed_tcp',
  'error malformed udp': 'errors_total_malformed_udp',
  'error malformed icmp': 'errors_total_malformed_icmp',
  'error malformed icmp quote': 'errors_total_malformed_icmp_pkt_too_big',
  'error icmp echo reply': 'errors_total_icmp_echo_replies',
  'error unwanted icmp': 'errors_total_unwanted_icmp',
  'error redirect loop': 'errors_total_redirect_loop',
  'error mtu': 'errors_total_encap_mtu_violate',
};

/** @param frame of at least {@link ETHERNET_HEADER} bytes; not changed */
export function runFrame(redirector: ProfiledRedirector, frame: Uint8Array): FrameOutcome {
  const counters = new Map([['processed_packets_total', 1]]);
  const ethertype = (frame[AT_ETHERTYPE] << 8) | frame[AT_ETHERTYPE + 1];
  if (ethertype !== ETHERTYPE_IPV4) {
    const steps = [
      { what: 'The frame is passed', because: `its ethertype is 0x${ethertype.toString(16)}, not IPv4` },
    ];
    return { verdict: 'TC_ACT_OK', action: 'pass', out: frame, counters, steps };
  }
  const outcome = redirector.process(frame.subarray(ETHERNET_HEADER));
  for (const event of outcome.events) {
    const counter = COUNTERS[event];
    if (counter !== null) counters.set(counter, (counters.get(counter) ?? 0) + 1);
  }
  const [verdict, action] = ACTIONS[outcome.action];
  const out = outcome.action === 'drop' ? null : frameOf(frame, outcome.action, outcome.bytes);
  return { verdict, action, out, counters, steps: outcome.steps };
}

/** The packet that leaves, in a frame for the kernel here, or for the router that the frame came from. */
function frameOf(frame: Uint8Array, action: RedirectAction, packet: Uint8Array): Uint8Array {
  const out = new Uint8Array(ETHERNET_HEADER + packet.length);
  out.set(frame.subarray(0, ETHERNET_HEADER));
  out.set(packet, ETHERNET_HEADER);
  if (action === 'redirect' || action === 'redirect-gre') {
    out.set(frame.subarray(MAC, 2 * MAC), 0);
    out.set(frame.subarray(0, MAC), MAC);
  } else if (action === 'accept' && frame[AT_GUE_PROTO] === IP_PROTOCOL_IPV6) {
    out.set([ETHERTYPE_IPV6 >>> 8, ETHERTYPE_IPV6 & 0xff], AT_ETHERTYPE);
  }
  return out;
}
