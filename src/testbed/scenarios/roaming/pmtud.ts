import { clientName, type Family, serverName } from '../../addresses.js';
import type { DataCenter } from '../../data-center.js';
import { runScript } from '../../run.js';
import { TunnelDownload } from '../../wireguard/downloads.js';
import { type Tunnels, tunnelsOf } from '../../wireguard/tunnels.js';
import { pathMtu } from '../path-mtu.js';
import { Judgement, type Scenario } from '../scenario.js';
import { baselinesOf, brokenSessions, freshSessions, NARROW_CLIENT } from './sessions.js';

const NARROW_MTU = 1300;
const NORMAL_MTU = 1500;
const BYTES = 600_000;
const STALL_MS = 20_000;
const FAMILIES: readonly Family[] = [4, 6];

/**
 * A link on the way to a client becomes narrow. The router's errors quote what the server sent, which has no clientid:
 * no load balancer can tell from them which server that was.
 */
export const pmtud: Scenario = {
  name: 'pmtud',
  title: `Path MTU: the link to ${clientName(NARROW_CLIENT)} shrinks to ${NARROW_MTU} bytes`,
  async run(dataCenter) {
    const tunnels = tunnelsOf(dataCenter);
    const before = await countErrors(dataCenter);
    const seen: Seen[] = [];
    for (const family of FAMILIES) seen.push(await shrink(dataCenter, tunnels, family));
    const after = await countErrors(dataCenter);
    const copied = after.copied - before.copied;
    const accepted = after.accepted - before.accepted;

    const judgement = new Judgement();
    for (const { family, server, mtu, download, session } of seen) {
      judgement.expect(download === null, `the download over IPv${family} broke: ${download}`);
      judgement.expect(session === null, `the session over IPv${family} did not stay: ${session}`);
      judgement.expect(mtu === NARROW_MTU, `${server} did not learn the path MTU of IPv${family}`);
    }
    judgement.expect(copied > 0, 'no ICMP error was sent on to all servers');
    judgement.expect(accepted > 0, 'no ICMP error was taken in');
    return judgement.finding(
      [
        ...seen.map(
          ({ family, server, mtu, download }) =>
            `IPv${family}: ${server}, which holds the session, knows ${mtu ?? 'nothing'}; download ${download === null ? 'completed' : 'broken'}`,
        ),
        `${copied} real ICMP errors entered anywhere and went to every server; ${accepted} copies taken in`,
      ],
      {
        icmpCopied: copied,
        icmpAccepted: accepted,
        learned: seen.map(({ family, mtu }) => `IPv${family}: ${mtu ?? 'nothing'}`),
        broken: seen.filter(({ download }) => download !== null).length,
      },
    );
  },
};

interface Seen {
  readonly family: Family;
  /** Which holds the session. */
  readonly server: string;
  /** What that server knows of the path to the client afterwards. */
  readonly mtu: number | undefined;
  /** What went wrong, or null. */
  readonly download: string | null;
  readonly session: string | null;
}

async function shrink(dataCenter: DataCenter, tunnels: Tunnels, family: Family): Promise<Seen> {
  const { network } = dataCenter;
  await freshSessions(dataCenter, tunnels, [NARROW_CLIENT], { family });
  const baselines = await baselinesOf(tunnels, [NARROW_CLIENT]);
  const server = serverName(baselines.get(NARROW_CLIENT)?.server ?? 0);
  const [running] = await TunnelDownload.startAll([NARROW_CLIENT], BYTES);
  await network.setAccessMtu(NARROW_CLIENT, NARROW_MTU);
  const download = await running.finish(STALL_MS);
  const mtu = await pathMtu(server, NARROW_CLIENT, family);
  const broken = await brokenSessions(tunnels, baselines);
  await network.setAccessMtu(NARROW_CLIENT, NORMAL_MTU);
  await forgetPaths(dataCenter);
  return { family, server, mtu, download, session: broken.get(NARROW_CLIENT) ?? null };
}

/** Kernels remember the MTU of a path for ten minutes. */
async function forgetPaths({ sites }: DataCenter): Promise<void> {
  await Promise.all(
    sites.servers.map(({ number }) =>
      runScript(serverName(number), 'ip route flush cache\nip -6 route flush cache\n'),
    ),
  );
}

async function countErrors(dataCenter: DataCenter): Promise<{ copied: number; accepted: number }> {
  const metrics = await dataCenter.requireFleet().allMetrics();
  const packets = (verdict: string): number => metrics.sum('twohop_packets_total', { verdict });
  return { copied: packets('forward_icmp_everywhere'), accepted: packets('accept_icmp_error') };
}
