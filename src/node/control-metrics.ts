import { Counter, Gauge, type Registry } from 'prom-client';
import type { CpuReading } from './cpu.js';
import type { RouteState } from './routes/announcer.js';

/** VIP ranges that came at run time. */
export interface VipGauge {
  readonly trafficset: string;
  /** Version of the ranges that every worker uses; 0 for those of the configuration alone. */
  readonly version: number;
  /** Beside those of the configuration. */
  readonly ranges: number;
}

export interface ControlSource {
  /** null: there is no store. */
  store(): { readonly available: boolean; readonly silentSeconds: number } | null;
  cpu(): { readonly reading: CpuReading | null; readonly ratio: number | null };
  routes(): RouteState;
  vips(): readonly VipGauge[];
}

/** The part of the node's metrics that tells of the control plane and of the server itself. */
export class ControlMetrics {
  private readonly refused: Counter<'trafficset' | 'reason'>;

  constructor(registry: Registry, source: ControlSource) {
    const registers = [registry];
    const gauge = (name: string, help: string, value: () => number | null) => {
      const metric: Gauge = new Gauge({
        name,
        help,
        registers,
        collect: () => {
          metric.reset();
          const now = value();
          if (now === null) metric.remove();
          else metric.set(now);
        },
      });
    };
    const store = (value: (store: { available: boolean; silentSeconds: number }) => number) => () => {
      const now = source.store();
      return now === null ? null : value(now);
    };
    gauge(
      'twohop_store_available',
      'Whether the store can be reached (1) or not (0)',
      store(({ available }) => (available ? 1 : 0)),
    );
    gauge(
      'twohop_store_silent_seconds',
      'Since the store was last heard of',
      store(({ silentSeconds }) => silentSeconds),
    );
    gauge(
      'twohop_server_cpu_ratio',
      'CPU in use over the last second, 0 to 1 of what the server has',
      () => source.cpu().ratio,
    );
    gauge(
      'twohop_server_cpu_limit',
      'CPUs that the server has; may be a fraction',
      () => source.cpu().reading?.limit ?? null,
    );
    const seconds: Counter = new Counter({
      name: 'twohop_server_cpu_seconds_total',
      help: 'CPU time that the server has used',
      registers,
      collect: () => {
        seconds.reset();
        const { reading } = source.cpu();
        if (reading === null) seconds.remove();
        else seconds.inc(reading.usedSeconds);
      },
    });
    gauge(
      'twohop_routes_announced',
      'Whether the routes of the VIPs are announced (1) or withdrawn (0)',
      () => {
        const state = source.routes();
        return state === 'none' ? null : state === 'announced' ? 1 : 0;
      },
    );
    this.vipMetrics(registry, source);
    this.refused = new Counter({
      name: 'twohop_vips_refused_total',
      help: 'VIP ranges from the store that were not taken, by reason',
      labelNames: ['trafficset', 'reason'],
      registers,
    });
  }

  private vipMetrics(registry: Registry, source: ControlSource): void {
    const registers = [registry];
    const labelNames = ['trafficset'];
    const version = new Gauge({
      name: 'twohop_vips_version',
      help: 'Version of the VIP ranges from the store that are in use; 0 for those of the configuration alone',
      labelNames,
      registers,
      collect: () => {
        version.reset();
        for (const vips of source.vips()) version.set({ trafficset: vips.trafficset }, vips.version);
      },
    });
    const ranges = new Gauge({
      name: 'twohop_vip_ranges',
      help: 'VIP ranges from the store, beside those of the configuration',
      labelNames,
      registers,
      collect: () => {
        ranges.reset();
        for (const vips of source.vips()) ranges.set({ trafficset: vips.trafficset }, vips.ranges);
      },
    });
  }

  vipsRefused(trafficset: string, reason: string): void {
    this.refused.inc({ trafficset, reason });
  }
}
