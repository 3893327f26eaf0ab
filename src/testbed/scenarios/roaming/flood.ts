import { clientName, vip } from '../../addresses.js';
import { PROCESS_ENTRY } from '../../locations.js';
import type { Metrics } from '../../metrics.js';
import { inNamespace, run } from '../../run.js';
import { downloadThroughTunnels } from '../../wireguard/downloads.js';
import type { FloodReport, FloodSpec } from '../../wireguard/flood.js';
import { WIREGUARD_PORT } from '../../wireguard/plan.js';
import { tunnelsOf } from '../../wireguard/tunnels.js';
import { Judgement, type Scenario } from '../scenario.js';
import { baselinesOf, brokenSessions, freshSessions, NEWCOMER, ROAMERS, TRAFFICSET } from './sessions.js';

/** Of each kind. */
const COUNT = 5000;
const BYTES = 300_000;
const STALL_MS = 15_000;
const REASONS = ['truncated', 'unknown_type', 'bad_length'] as const;
/** What a process may gain over 20,000 packets for reasons of its own (the collector's, mostly), in MB. */
const SLACK_MB = 64;

/** Random clientids and what is no WireGuard: counted by reason, remembered by nobody, and no harm to real sessions. */
export const flood: Scenario = {
  name: 'flood',
  title: `Flood: ${clientName(NEWCOMER)} sends ${4 * COUNT} hostile datagrams`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const tunnels = tunnelsOf(dataCenter);
    await freshSessions(dataCenter, tunnels, ROAMERS);
    const baselines = await baselinesOf(tunnels, ROAMERS);
    const downloads = await downloadThroughTunnels(ROAMERS, BYTES);
    const before = await fleet.allMetrics();

    const spec: FloodSpec = { address: vip(1, 4), port: WIREGUARD_PORT, count: COUNT };
    const command = [process.execPath, PROCESS_ENTRY, 'wireguard-flood', JSON.stringify(spec)];
    const { stdout } = await run(...inNamespace(clientName(NEWCOMER), command));
    const sent = JSON.parse(stdout) as FloodReport;

    const failures = (await Promise.all(downloads.map((download) => download.finish(STALL_MS)))).filter(
      (failure) => failure !== null,
    );
    const broken = await brokenSessions(tunnels, baselines);
    const after = await fleet.allMetrics();
    await tunnels.forgetAll();

    const judgement = new Judgement();
    judgement.expect(broken.size === 0, `${broken.size} sessions broke: ${[...broken.values()].join(', ')}`);
    judgement.expect(failures.length === 0, `${failures.length} downloads broke: ${failures.join('; ')}`);
    const refused = REASONS.map((reason) => {
      const counted = drops(after, reason) - drops(before, reason);
      // The kernel's queues may drop some on the way.
      judgement.expect(counted > 0, `nothing was counted as ${reason}`);
      judgement.expect(counted <= sent[reason], `${counted} counted as ${reason}, and ${sent[reason]} sent`);
      return `${counted} of ${sent[reason]} ${reason}`;
    });
    const grown = Math.max(...growth(before, after));
    judgement.expect(grown < SLACK_MB, `a node grew by ${grown} MB`);
    return judgement.finding(
      [
        `${ROAMERS.length} sessions meanwhile: ${broken.size} broken; ${downloads.length} downloads: ${failures.length} broken`,
        `refused by reason: ${refused.join(', ')}`,
        `${sent.strangers} messages of unknown sessions; no node grew by more than ${grown} MB`,
      ],
      {
        sessions: ROAMERS.length,
        broken: broken.size,
        downloadsBroken: failures.length,
        sent: { ...sent },
        refused: Object.fromEntries(
          REASONS.map((reason) => [reason, drops(after, reason) - drops(before, reason)]),
        ),
        grownMegabytes: grown,
      },
    );
  },
};

function drops(metrics: Metrics, reason: string): number {
  return metrics.sum('twohop_dissector_drops_total', { trafficset: TRAFFICSET, reason });
}

/** Of each node's resident memory, in MB. */
function growth(before: Metrics, after: Metrics): number[] {
  const resident = ({ samples }: Metrics) =>
    new Map(
      samples
        .filter(({ name }) => name === 'process_resident_memory_bytes')
        .map(({ labels, value }) => [labels.server, value]),
    );
  const old = resident(before);
  return [...resident(after)].map(([server, bytes]) => Math.round((bytes - (old.get(server) ?? 0)) / 1e6));
}
