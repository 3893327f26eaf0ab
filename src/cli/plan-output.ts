import type { BalanceSettings, Outcome, ServerOutcome } from '../conductor/plan/index.js';
import { formatIpv4 } from '../table/address.js';
import { count, grid } from './table-output.js';

/** Outcomes of events in words, for `twohop plan`. */

/** More servers than this are not listed where nothing changes for them. */
const MOST_ROWS = 20;

/** @param event as it was written; null: what would be done anyway */
export function describeOutcome(
  event: string | null,
  trafficset: string,
  outcome: Outcome,
  settings: BalanceSettings,
): string {
  const parts = [event === null ? 'before any event:' : `${event}:`];
  if (outcome.nobody) {
    parts.push(
      `  this would leave ${trafficset} without a server for new flows: its table stays as it is` +
        ' (twohop server refuses it without --force)',
    );
    return parts.join('\n');
  }
  parts.push(...outcome.lines.map((line) => `  ${line}`));
  parts.push(`  ${describeChange(outcome)}`);
  if (settings.scheme !== 'single') parts.push(`  ${describeSecondHops(outcome, settings)}`);
  parts.push(...outcome.waiting.map((text) => `  waits: ${text}`));
  if (outcome.nextAt !== null) {
    parts.push(`  the next is possible in ${count(outcome.nextAt - outcome.after.now, 'second')}`);
  }
  const listed = outcome.servers.filter(
    ({ newFlows, oldFlows }) =>
      outcome.servers.length <= MOST_ROWS || newFlows[0] !== newFlows[1] || oldFlows[0] !== oldFlows[1],
  );
  if (listed.length > 0) parts.push(describeServers(listed, outcome.buckets));
  return parts.join('\n');
}

function describeChange({ changed, buckets, breaks, versionBefore, after }: Outcome): string {
  if (changed === 0) return `nothing changes: version ${versionBefore} stays`;
  const broken = breaks === 0 ? 'nothing breaks' : `older flows break in ${count(breaks, 'bucket')}`;
  return (
    `${changed} of ${buckets} buckets change (${percent(changed, buckets)}), ` +
    `version ${versionBefore} -> ${after.state.version}; ${broken}`
  );
}

function describeSecondHops({ secondHops, buckets }: Outcome, { scheme }: BalanceSettings): string {
  const { before, after, moved } = secondHops;
  const shares = `second hops: ${percent(before, buckets)} -> ${percent(after, buckets)} of the buckets`;
  // Where roles are switched, new flows take the second hop for as long as there is one.
  if (scheme === 'switched') return `${shares}, in which all new flows take both hops`;
  return `${shares}; established flows of ${percent(moved, buckets)} take one hop more from now on`;
}

function describeServers(servers: readonly ServerOutcome[], buckets: number): string {
  const rows = servers.map(({ name, dip, standing, weight, newFlows, oldFlows }) => [
    name ?? formatIpv4(dip),
    standing ?? 'gone',
    weight,
    change(newFlows),
    percent(newFlows[1], buckets),
    change(oldFlows),
  ]);
  return grid(['server', 'standing', 'weight', 'new flows', 'share', 'only old flows'], rows);
}

/** For programs: addresses in dotted form. */
export function outcomeToData(event: string | null, outcome: Outcome, { scheme }: BalanceSettings): object {
  const address = (dip: number) => (dip === 0 ? null : formatIpv4(dip));
  const { after, moves, servers, ...rest } = outcome;
  return {
    event,
    scheme,
    ...rest,
    version: after.state.version,
    corrections: Object.fromEntries(after.state.corrections),
    moves: moves.map((move) => ({ ...move, from: address(move.from), to: address(move.to) })),
    servers: servers.map((server) => ({ ...server, dip: address(server.dip) })),
  };
}

function change([before, after]: readonly [number, number]): string {
  return before === after ? `${after}` : `${before} -> ${after}`;
}

function percent(part: number, whole: number): string {
  return `${Number(((100 * part) / whole).toFixed(2))} %`;
}
