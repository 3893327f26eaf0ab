import { clientName, FAMILIES, type Family } from '../../addresses.js';
import { since } from '../../counters.js';
import type { DataCenter } from '../../data-center.js';
import { CLIENT_MTU } from '../../network.js';
import { downloadThroughTunnels } from '../../wireguard/downloads.js';
import { listed } from '../connections.js';
import { pathMtu } from '../path-mtu.js';
import { Judgement, type Scenario } from '../scenario.js';
import { enteringElsewhere, type NarrowSession } from './narrow-session.js';
import { NARROW_CLIENT, TRAFFICSET } from './sessions.js';

const NARROW_MTU = 1300;
const BYTES = 600_000;
const STALL_MS = 20_000;

interface Shrinking {
  /** What went wrong with the download, or null. */
  readonly failure: string | null;
  /** What the server that holds the session knows of the path to the client afterwards. */
  readonly mtu: number | undefined;
  readonly errors: Errors;
}

/** ICMP errors by server. */
interface Errors {
  /** Came from the router. */
  readonly entered: Readonly<Record<string, number>>;
  /** Came as a copy from the server where they entered, and were taken in. */
  readonly accepted: Readonly<Record<string, number>>;
}

/**
 * A link on the way to a client becomes narrow. The router's errors quote what the server sent, which has no clientid:
 * no load balancer can tell from them which server that was.
 */
export const pmtud: Scenario = {
  name: 'pmtud',
  title: `Path MTU: the link to ${clientName(NARROW_CLIENT)} shrinks to ${NARROW_MTU} bytes`,
  async run(dataCenter) {
    const seen: NarrowSession<Shrinking>[] = [];
    for (const family of FAMILIES) {
      seen.push(await enteringElsewhere(dataCenter, family, (holder) => shrink(dataCenter, family, holder)));
      await dataCenter.network.setAccessMtu(NARROW_CLIENT, CLIENT_MTU);
      await forgetPaths(dataCenter);
    }

    const judgement = new Judgement();
    for (const { family, server, session, transfer } of seen) {
      const { failure, mtu, errors } = transfer;
      judgement.expect(failure === null, `the download over IPv${family} broke: ${failure}`);
      judgement.expect(session === null, `the session over IPv${family} did not stay: ${session}`);
      judgement.expect(mtu === NARROW_MTU, `${server} did not learn the path MTU of IPv${family}`);
      const elsewhere = total(errors.entered) - errors.entered[server];
      judgement.expect(elsewhere > 0, `no ICMP error over IPv${family} entered elsewhere`);
      judgement.expect(errors.accepted[server] > 0, `${server} took in no copy of one over IPv${family}`);
      for (const { name } of dataCenter.sites.servers) {
        const got = errors.entered[name] + errors.accepted[name];
        judgement.expect(got > 0, `${name} got no ICMP error over IPv${family}`);
      }
    }
    const sum = (kind: keyof Errors): number =>
      seen.reduce((all, { transfer }) => all + total(transfer.errors[kind]), 0);
    return judgement.finding(
      seen.flatMap(({ family, server, transfer: { failure, mtu, errors } }) => [
        `IPv${family}: ${server}, which holds the session, knows ${mtu === undefined ? 'no MTU' : `an MTU of ${mtu}`}; ` +
          `download ${failure === null ? 'completed' : 'broken'}`,
        `IPv${family}: real ICMP errors entered at ${some(errors.entered)}; copies taken in by ${some(errors.accepted)}`,
      ]),
      {
        icmpEntered: sum('entered'),
        icmpAccepted: sum('accepted'),
        learned: seen.map(({ family, transfer: { mtu } }) => `IPv${family}: ${mtu ?? 'nothing'}`),
        broken: seen.filter(({ transfer }) => transfer.failure !== null).length,
      },
    );
  },
};

async function shrink(dataCenter: DataCenter, family: Family, holder: string): Promise<Shrinking> {
  const before = await countErrors(dataCenter);
  const [running] = await downloadThroughTunnels([NARROW_CLIENT], BYTES);
  await dataCenter.network.setAccessMtu(NARROW_CLIENT, NARROW_MTU);
  const failure = await running.finish(STALL_MS);
  const mtu = await pathMtu(holder, NARROW_CLIENT, family);
  return { failure, mtu, errors: since(before, await countErrors(dataCenter)) };
}

/** Kernels remember the MTU of a path for ten minutes. */
async function forgetPaths({ sites }: DataCenter): Promise<void> {
  await Promise.all(
    sites.servers.map((server) => server.script('ip route flush cache\nip -6 route flush cache\n')),
  );
}

async function countErrors(dataCenter: DataCenter): Promise<Errors> {
  const metrics = await dataCenter.requireFleet().allMetrics();
  const byServer = (labels: Record<string, string>): Record<string, number> =>
    Object.fromEntries(
      dataCenter.sites.servers.map(({ name }) => [
        name,
        metrics.sum('twohop_packets_total', { ...labels, trafficset: TRAFFICSET, server: name }),
      ]),
    );
  return {
    entered: byServer({ verdict: 'forward_icmp_everywhere', action: 'deliver' }),
    accepted: byServer({ verdict: 'accept_icmp_error' }),
  };
}

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** Without the zeros. */
function some(counts: Readonly<Record<string, number>>): string {
  return listed(Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))) || 'nobody';
}
