import { Action, VERDICTS, Verdict, type VerdictName } from '../verdict.js';

/** Why the model of the redirector did what it did: our verdicts by their names, and what only published systems do. */

export type RedirectAction = 'pass' | 'drop' | 'accept' | 'redirect' | 'redirect-gre';

interface ReasonInfo {
  readonly action: RedirectAction;
  /** One sentence for people. */
  readonly meaning: string;
}

const ACTION_NAMES: Readonly<Record<Action, RedirectAction>> = {
  [Action.Drop]: 'drop',
  [Action.Deliver]: 'accept',
  [Action.Send]: 'redirect',
};

function ours(name: VerdictName): ReasonInfo {
  const { action, meaning } = VERDICTS[Verdict[name]];
  return { action: ACTION_NAMES[action], meaning };
}

export const REDIRECT_REASONS = {
  accept_syn: ours('AcceptSyn'),
  accept_established: ours('AcceptEstablished'),
  accept_syn_cookie: ours('AcceptSynCookie'),
  accept_last_hop: ours('AcceptLastHop'),
  accept_self: ours('AcceptSelf'),
  accept_session: ours('AcceptSession'),
  accept_icmp_error: ours('AcceptIcmpError'),
  accept_icmp: ours('AcceptIcmp'),
  redirect: ours('Redirect'),
  drop_malformed_ip: ours('DropMalformedIp'),
  drop_malformed_transport: ours('DropMalformedTransport'),
  drop_malformed_icmp: ours('DropMalformedIcmp'),
  drop_fragment: ours('DropFragment'),
  drop_fragment_unknown: ours('DropFragmentUnknown'),
  drop_dissector: ours('DropDissector'),
  drop_icmp_mismatch: ours('DropIcmpMismatch'),
  drop_malformed_gue: ours('DropMalformedGue'),
  drop_hop_list: ours('DropHopList'),
  drop_stranger: ours('DropStranger'),
  drop_not_ours: ours('DropNotOurs'),
  drop_not_vip: ours('DropNotVip'),
  drop_lookup_failed: ours('DropLookupFailed'),
  drop_too_big: ours('DropTooBig'),
  // Not by us.
  pass_not_ours: { action: 'pass', meaning: 'perhaps for somebody else: left alone' },
  accept_udp: { action: 'accept', meaning: 'UDP: taken in by the first server that gets it' },
  redirect_gre: { action: 'redirect-gre', meaning: 'no socket here: sent on to the last hop, in GRE' },
  drop_unknown_protocol: { action: 'drop', meaning: 'neither TCP nor UDP nor ICMP' },
  drop_unwanted_icmp: { action: 'drop', meaning: 'an ICMP message that is not expected here' },
  drop_too_short: { action: 'drop', meaning: 'unwrapped, it would be shorter than any IP header' },
  drop_redirect_loop: { action: 'drop', meaning: 'the TTL of the inner packet is used up' },
} as const satisfies Record<string, ReasonInfo>;

export type RedirectReason = keyof typeof REDIRECT_REASONS;
