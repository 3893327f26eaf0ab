import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What one trafficset looks like at the moment. */
export interface TrafficsetGauges {
  readonly trafficset: string;
  readonly version: number;
  /** Share of packets expected to take the second hop. */
  readonly secondHopShare: number;
  /** Largest deviation of a server's load from its pool's mean, as a share of it; null without samples. */
  readonly loadDeviation: number | null;
  /** Servers that get new flows. */
  readonly serversIn: number;
  readonly waiting: number;
}

export interface MetricsSource {
  leads(): boolean;
  storeAvailable(): boolean;
  trafficsets(): readonly TrafficsetGauges[];
  wideProblems(): readonly string[];
}

/** The conductor's metrics in Prometheus text format. */
export class ConductorMetrics {
  private readonly registry = new Registry();
  private readonly moves: Counter<'trafficset' | 'rule' | 'kind'>;
  private readonly dropped: Counter<'trafficset' | 'reason'>;
  private readonly failures: Counter<'code'>;
  private readonly planning: Histogram<'trafficset'>;
  private readonly elections: Counter;

  constructor(conductor: string, source: MetricsSource) {
    const registers = [this.registry];
    this.registry.setDefaultLabels({ conductor });
    collectDefaultMetrics({ register: this.registry });
    const gauge = (name: string, help: string, value: () => number) => {
      const made: Gauge = new Gauge({ name, help, registers, collect: () => made.set(value()) });
    };
    gauge('twohop_conductor_leader', '1 while this conductor leads', () => Number(source.leads()));
    gauge('twohop_conductor_store_available', '1 while the store can be reached', () =>
      Number(source.storeAvailable()),
    );
    gauge(
      'twohop_conductor_wide_problems',
      'Trafficsets whose health changes are held back, as they hit most servers at once',
      () => source.wideProblems().length,
    );
    const perTrafficset = (name: string, help: string, value: (of: TrafficsetGauges) => number | null) => {
      const made = new Gauge({
        name,
        help,
        labelNames: ['trafficset'],
        registers,
        collect: () => {
          made.reset();
          for (const of of source.trafficsets()) {
            const now = value(of);
            if (now !== null) made.set({ trafficset: of.trafficset }, now);
          }
        },
      });
    };
    perTrafficset('twohop_conductor_table_version', 'Version of the table published', (of) => of.version);
    perTrafficset(
      'twohop_conductor_second_hop_share',
      'Share of packets expected to take the second hop',
      (of) => of.secondHopShare,
    );
    perTrafficset(
      'twohop_conductor_load_deviation',
      "Largest deviation of a server's load from the mean of its pool, as a share of it",
      (of) => of.loadDeviation,
    );
    perTrafficset('twohop_conductor_servers_in', 'Servers that get new flows', (of) => of.serversIn);
    perTrafficset('twohop_conductor_waiting', 'Changes that have to wait', (of) => of.waiting);
    this.moves = new Counter({
      name: 'twohop_conductor_moved_buckets_total',
      help: 'Buckets changed, by the rule that chose them and what happened to them',
      labelNames: ['trafficset', 'rule', 'kind'],
      registers,
    });
    this.dropped = new Counter({
      name: 'twohop_conductor_load_dropped_total',
      help: 'Samples of load that were not used, by reason',
      labelNames: ['trafficset', 'reason'],
      registers,
    });
    this.failures = new Counter({
      name: 'twohop_conductor_store_failures_total',
      help: 'Writes to the store that failed, by reason',
      labelNames: ['code'],
      registers,
    });
    this.elections = new Counter({
      name: 'twohop_conductor_elections_total',
      help: 'Times that this conductor was elected',
      registers,
    });
    this.planning = new Histogram({
      name: 'twohop_conductor_plan_seconds',
      help: 'Time that planning one step took',
      labelNames: ['trafficset'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
      registers,
    });
  }

  moved(trafficset: string, rule: string, kind: string, buckets: number): void {
    this.moves.inc({ trafficset, rule, kind }, buckets);
  }

  loadDropped(trafficset: string, reason: string, samples: number): void {
    this.dropped.inc({ trafficset, reason }, samples);
  }

  storeFailed(code: string): void {
    this.failures.inc({ code });
  }

  planned(trafficset: string, seconds: number): void {
    this.planning.observe({ trafficset }, seconds);
  }

  elected(): void {
    this.elections.inc();
  }

  async text(): Promise<{ text: string; contentType: string }> {
    return { text: await this.registry.metrics(), contentType: this.registry.contentType };
  }
}
