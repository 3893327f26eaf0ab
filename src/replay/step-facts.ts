import { Stage } from '../path/counters.js';
import type { TrafficsetState } from '../path/state.js';
import { Action, Verdict, type VerdictName } from '../path/verdict.js';
import { GUE_AT_HOP_COUNT, GUE_AT_HOPS, GUE_AT_NEXT_HOP, GUE_HOP } from '../wire/gue.js';
import { FragmentKind } from '../wire/ip.js';
import { UDP_HEADER } from '../wire/udp.js';
import type { Traveller } from './traveller.js';

/** What is known of a packet after a step, by its verdict: for those who tell of it. */

const codes = (...names: VerdictName[]): ReadonlySet<number> => new Set(names.map((name) => Verdict[name]));

/** Verdicts with which the flow is known. */
const FLOW_KNOWN = codes(
  'Forward',
  'ForwardIcmpError',
  'ForwardNamed',
  'ForwardIcmpEverywhere',
  'AcceptSession',
  'AcceptNamed',
  'DropIcmpLimit',
  'AcceptSyn',
  'AcceptEstablished',
  'AcceptSynCookie',
  'AcceptLastHop',
  'AcceptSelf',
  'AcceptIcmpError',
  'Redirect',
  'DropNoTable',
  'DropDissector',
  'DropEmptyBucket',
  'DropTooBig',
  'DropLookupFailed',
);
/** ... but without a look into the forwarding table. */
const BEFORE_LOOKUP = codes('DropNoTable', 'DropDissector', 'ForwardIcmpEverywhere', 'DropIcmpLimit');
/** Verdicts that later fragments have of their own. */
const FRAGMENT_VERDICTS = codes(
  'DropFragment',
  'DropFragmentUnknown',
  'PassNotVip',
  'PassNoService',
  'DropNotVip',
  'DropMalformedIp',
  'DropMalformedGue',
);
/** Verdicts of the redirector that come after the hop list was read. */
const HOPS_KNOWN = new Set([...FLOW_KNOWN].filter((verdict) => verdict !== Verdict.DropNoTable));

/** Whether the stage took the packet for one of a flow. The rest of a datagram has the verdict of its first fragment only. */
export function hasFlow(traveller: Traveller): boolean {
  return FLOW_KNOWN.has(traveller.verdict) && !isLaterFragment(traveller);
}

/** Whether the packet is the rest of a datagram that ends as its first fragment did. */
export function followsFirst(traveller: Traveller): boolean {
  return isLaterFragment(traveller) && !FRAGMENT_VERDICTS.has(traveller.verdict);
}

function isLaterFragment(traveller: Traveller): boolean {
  return classifierOf(traveller).packet.fragment === FragmentKind.Later;
}

/** Whether the redirector read the hop list. */
export function hasHops({ stage, verdict }: Traveller): boolean {
  return stage === Stage.Redirect && HOPS_KNOWN.has(verdict);
}

/** Whether the forwarding table was looked into. */
export function hasLookup(traveller: Traveller): boolean {
  const { stage, verdict } = traveller;
  if (stage !== Stage.Forward || !hasFlow(traveller) || BEFORE_LOOKUP.has(verdict)) return false;
  // An error whose quote does not tell the key has none, however it ends.
  return classifierOf(traveller).flow.quoted === 0 || trafficsetOf(traveller)?.quotable === 1;
}

/** Undefined where the packet is of none. */
export function trafficsetOf({ batch, server }: Traveller): TrafficsetState | undefined {
  return server.state.trafficsets[batch.trafficset[0]];
}

/** The servers that get a copy. Host order. */
export function copiesOf({ verdict, server }: Traveller, set: TrafficsetState | undefined): number[] {
  if (verdict !== Verdict.ForwardIcmpEverywhere || set === undefined) return [];
  return [...set.members].filter((dip) => dip !== server.dip);
}

/** The forwarder's dissector says why it drops a packet. */
export function refusalOf(
  { stage, stages, verdict }: Traveller,
  set: TrafficsetState | undefined,
): string | null {
  if (verdict !== Verdict.DropDissector || stage !== Stage.Forward) return null;
  return set?.dissector.drops?.[stages.forwarder.dropReason] ?? null;
}

/** What knows the flow. */
export function classifierOf({ stages, stage }: Traveller) {
  return stage === Stage.Forward ? stages.forwarder.classifier : stages.redirector.classifier;
}

/** The hop that the redirector was to try. What it has sent on already points one further. */
export function hopOf(traveller: Traveller): { index: number; count: number; dip: number } {
  const { data } = traveller.batch;
  const gue = traveller.offset + ((data.getUint8(traveller.offset) & 0x0f) << 2) + UDP_HEADER;
  const index = data.getUint8(gue + GUE_AT_NEXT_HOP) - (traveller.action === Action.Send ? 1 : 0);
  const count = data.getUint8(gue + GUE_AT_HOP_COUNT);
  return { index, count, dip: index < count ? data.getUint32(gue + GUE_AT_HOPS + index * GUE_HOP) : 0 };
}
