import { Action, VERDICTS, Verdict, type VerdictName } from '../verdict.js';

/** Why the model of the forwarder did what it did: our verdicts by their names, and what only published systems do. */

/** `local`: taken in here, because this server is the first hop, or answered here. */
export type ForwardAction = 'pass' | 'drop' | 'send' | 'local';

interface ReasonInfo {
  readonly action: ForwardAction;
  /** One sentence for people. */
  readonly meaning: string;
}

function ours(name: VerdictName): ReasonInfo {
  const { action, meaning } = VERDICTS[Verdict[name]];
  if (action === Action.Drop) return { action: 'drop', meaning };
  if (action === Action.Send) return { action: 'send', meaning };
  return { action: name.startsWith('Pass') ? 'pass' : 'local', meaning };
}

export const FORWARD_REASONS = {
  pass_not_vip: ours('PassNotVip'),
  pass_no_service: ours('PassNoService'),
  pass_icmp: ours('PassIcmp'),
  forward: ours('Forward'),
  forward_icmp_error: ours('ForwardIcmpError'),
  forward_named: ours('ForwardNamed'),
  forward_icmp_everywhere: ours('ForwardIcmpEverywhere'),
  accept_syn: ours('AcceptSyn'),
  accept_established: ours('AcceptEstablished'),
  accept_syn_cookie: ours('AcceptSynCookie'),
  accept_last_hop: ours('AcceptLastHop'),
  accept_self: ours('AcceptSelf'),
  accept_session: ours('AcceptSession'),
  accept_named: ours('AcceptNamed'),
  accept_icmp_error: ours('AcceptIcmpError'),
  redirect: ours('Redirect'),
  drop_malformed_ip: ours('DropMalformedIp'),
  drop_malformed_transport: ours('DropMalformedTransport'),
  drop_malformed_icmp: ours('DropMalformedIcmp'),
  drop_fragment: ours('DropFragment'),
  drop_fragment_unknown: ours('DropFragmentUnknown'),
  drop_icmp_mismatch: ours('DropIcmpMismatch'),
  drop_no_table: ours('DropNoTable'),
  drop_empty_bucket: ours('DropEmptyBucket'),
  drop_too_big: ours('DropTooBig'),
  drop_dissector: ours('DropDissector'),
  drop_lookup_failed: ours('DropLookupFailed'),
  // Not by us.
  pass_unreadable: { action: 'pass', meaning: 'its headers cannot be read: left to the kernel' },
  answer_echo: { action: 'local', meaning: 'an echo request, answered by the load balancer itself' },
  drop_options: { action: 'drop', meaning: 'an IPv4 header with options' },
} as const satisfies Record<string, ReasonInfo>;

export type ForwardReason = keyof typeof FORWARD_REASONS;

export function isForwardReason(name: string): name is ForwardReason {
  return Object.hasOwn(FORWARD_REASONS, name);
}
