import type { Fleet } from '../../fleet.js';

/** Server -> how many packets of a trafficset its node handed to its kernel. */
export type Deliveries = Readonly<Record<string, number>>;

export async function deliveries(fleet: Fleet, trafficset: string): Promise<Deliveries> {
  const metrics = await fleet.allMetrics();
  const labels = { trafficset, action: 'deliver' };
  const servers = new Set(metrics.samples.flatMap(({ labels: { server } }) => server ?? []));
  return Object.fromEntries(
    [...servers].map((server) => [server, metrics.sum('twohop_packets_total', { ...labels, server })]),
  );
}

export const total = (counts: Deliveries): number => Object.values(counts).reduce((sum, one) => sum + one, 0);
