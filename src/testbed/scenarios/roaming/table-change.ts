import type { ForwardingTable } from '../../../table/forwarding-table.js';
import { serverName } from '../../addresses.js';
import { since } from '../../counters.js';
import type { DataCenter } from '../../data-center.js';
import { downloadThroughTunnels } from '../../wireguard/downloads.js';
import { whoAnswers } from '../../wireguard/probes.js';
import type { Tunnels } from '../../wireguard/tunnels.js';
import { sampleOf, tally } from '../connections.js';
import type { Finding, Judgement } from '../scenario.js';
import {
  baselinesOf,
  brokenSessions,
  countSessionPackets,
  NEWCOMER,
  PATIENCE_S,
  ROAMERS,
  waitForSessions,
} from './sessions.js';

/** What becomes of sessions and their downloads when the forwarding table changes, and where a new client lands. */
export interface ChangeSeen {
  /** Sessions per server. */
  readonly servers: Readonly<Record<string, number>>;
  readonly broken: ReadonlyMap<number, string>;
  readonly downloads: number;
  readonly downloadFailures: readonly string[];
  /** Packets of the old sessions at servers that do not hold them. */
  readonly astray: number;
  /** Null: nobody answered. */
  readonly newcomerOn: string | null;
  /** Packets of the new client that took the second hop. */
  readonly redirected: number;
}

const BYTES = 600_000;
const STALL_MS = 10_000;

/** Afterwards `original` is in force again, and there are no sessions. */
export async function throughChange(
  dataCenter: DataCenter,
  tunnels: Tunnels,
  change: {
    readonly original: ForwardingTable;
    readonly table: ForwardingTable;
    /** Clientid of the new client. */
    readonly newcomersId: string;
  },
): Promise<ChangeSeen> {
  const fleet = dataCenter.requireFleet();
  const baselines = await baselinesOf(tunnels, ROAMERS);
  const downloads = await downloadThroughTunnels(ROAMERS, BYTES);
  const before = await countSessionPackets(fleet);
  await fleet.publish(change.table);
  const broken = await brokenSessions(tunnels, baselines);
  const outcomes = await Promise.all(downloads.map((download) => download.finish(STALL_MS)));
  const afterOld = await countSessionPackets(fleet);

  await tunnels.assignClientIds(new Map([[NEWCOMER, change.newcomersId]]));
  await tunnels.connect([NEWCOMER]);
  await waitForSessions(fleet, ROAMERS.length + 1);
  const newcomerOn = (await whoAnswers([NEWCOMER], 4, PATIENCE_S)).get(NEWCOMER) ?? null;
  const after = await countSessionPackets(fleet);
  await tunnels.forgetAll();
  await tunnels.assignClientIds(new Map([[NEWCOMER, null]]));
  await fleet.restore(change.original);
  return {
    servers: tally([...baselines.values()].map(({ server }) => serverName(server))),
    broken,
    downloads: downloads.length,
    downloadFailures: outcomes.flatMap((outcome) => outcome ?? []),
    astray: since(before, afterOld).astray,
    newcomerOn,
    redirected: since(afterOld, after).redirected,
  };
}

/**
 * Judges what every change has to keep.
 * @param options.name the server that comes or goes
 * @param options.sessions says which sessions there were
 * @param options.figures those of this change alone
 */
export function findingOf(
  judgement: Judgement,
  seen: ChangeSeen,
  options: { readonly name: string; readonly sessions: string; readonly figures?: Record<string, number> },
): Finding {
  const { broken, downloads, downloadFailures, astray, newcomerOn, redirected } = seen;
  const reasons = [...broken.values()].map((reason) => ({ broken: reason }));
  judgement.expect(reasons.length === 0, `${reasons.length} sessions were broken: ${sampleOf(reasons)}`);
  judgement.expect(
    downloadFailures.length === 0,
    `${downloadFailures.length} downloads broke: ${downloadFailures[0]}`,
  );
  judgement.expect(astray === 0, `${astray} packets reached a server that does not hold their session`);
  judgement.expect(redirected > 0, 'no packet took the second hop');
  return judgement.finding(
    [
      `${options.sessions}: ${broken.size} broken`,
      `${downloads} downloads went on: ${downloadFailures.length} broken`,
      `a new client of ${options.name}'s buckets lands on ${newcomerOn ?? 'nobody'}; ${redirected} of its packets took the second hop`,
      `${astray} packets of these sessions reached a server that does not hold them`,
    ],
    {
      sessions: ROAMERS.length,
      ...options.figures,
      broken: broken.size,
      downloadsBroken: downloadFailures.length,
      newcomerOn: newcomerOn ?? '',
      astray,
      redirected,
    },
  );
}
