import type { ClusterConfig } from '../../table/cluster.js';
import type { MonitorConfig } from '../../table/control.js';

/**
 * The monitors that the servers of a pool are checked by: those of the groups that say something of them, by way of a
 * trafficset that they serve (`balance.health`) or of their node (`conductor.node_health`). What only observes is
 * checked too; what is not enabled is not.
 */
export function neededMonitors(
  { control, trafficsets }: Pick<ClusterConfig, 'control' | 'trafficsets'>,
  pool: string,
): MonitorConfig[] {
  const inUse = new Set<string | undefined>([control.conductor.node_health]);
  for (const { balance } of trafficsets) {
    if (balance !== undefined && Object.hasOwn(balance.pools, pool)) inUse.add(balance.health);
  }
  const names = new Set(
    control.groups
      .filter((group) => inUse.has(group.name))
      .flatMap(({ members }) => members.filter(({ enabled }) => enabled).map(({ monitor }) => monitor)),
  );
  return control.monitors.filter((monitor) => names.has(monitor.name));
}
