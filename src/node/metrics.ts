import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { KeyOutcome, type PathCounters, STAGE_NAMES } from '../path/counters.js';
import { Action, VERDICTS } from '../path/verdict.js';
import type { PortTotals } from './data-plane.js';
import { type StatusField, sumOf, type WorkerStatus } from './worker-status.js';

const ACTION_NAMES: Readonly<Record<number, string>> = {
  [Action.Drop]: 'drop',
  [Action.Deliver]: 'deliver',
  [Action.Send]: 'send',
};

/** One trafficset's table as the metrics show it. */
export interface TableGauge {
  readonly trafficset: string;
  /** Version that every worker uses; -1 before the first. */
  readonly version: number;
  readonly buckets: number;
}

export interface MetricsSource {
  /** Names by index, as the counters have them. */
  trafficsets(): readonly string[];
  counters(): readonly PathCounters[];
  status(): readonly WorkerStatus[];
  underlaySent(): PortTotals;
  /** What the ports carry in super-packets and trains. */
  offload(): string;
  /** `batched` or `single`. */
  tunCalls(): string;
  tables(): readonly TableGauge[];
  sessions(): readonly SessionGauge[];
  /** By index, as the counters have them. */
  dissectors(): readonly DissectorLabels[];
  /** SYNs that the kernel dropped before the TUN. */
  synDrops(): Promise<number>;
}

/** How many sessions the service here says it has, of those that every worker uses; -1 before it has said anything. */
export interface SessionGauge {
  readonly trafficset: string;
  readonly sessions: number;
}

/** What the counts of a trafficset's dissector are called. */
export interface DissectorLabels {
  readonly name: string;
  readonly drops: readonly string[];
}

/** Names of {@link KeyOutcome}. */
const KEY_OUTCOME_NAMES = ['four_tuple', 'server', 'server_gone'] as const;

/** Counters, and what was counted in them by index. */
interface Counted {
  readonly counters: readonly PathCounters[];
  readonly names: readonly string[];
  readonly dissectors: readonly DissectorLabels[];
}

/** Counted packets of trafficsets by name, so that counts outlive a reload that renumbers trafficsets. */
type Totals = Map<string, { labels: Record<string, string>; packets: number; bytes: number }>;

/** The node's metrics in Prometheus text format; values are read from the workers when they are asked for. */
export class NodeMetrics {
  readonly registry = new Registry();
  private readonly retired: Totals = new Map();
  private readonly retiredKeys: Totals = new Map();
  private last: Counted = { counters: [], names: [], dissectors: [] };
  private readonly refusedTables: Counter<'trafficset' | 'reason'>;
  private readonly refusedSessions: Counter<'trafficset' | 'reason'>;

  constructor(server: string, source: MetricsSource) {
    const registers = [this.registry];
    this.registry.setDefaultLabels({ server });
    collectDefaultMetrics({ register: this.registry });

    const labelNames = ['stage', 'trafficset', 'verdict', 'action'];
    const packets = new Counter({
      name: 'twohop_packets_total',
      help: 'Packets by stage, trafficset and verdict',
      labelNames,
      registers,
      collect: () => {
        packets.reset();
        for (const { labels, packets: count } of this.totals(source)) packets.inc(labels, count);
      },
    });
    const bytes = new Counter({
      name: 'twohop_bytes_total',
      help: 'Bytes of those packets as they came in',
      labelNames,
      registers,
      collect: () => {
        bytes.reset();
        for (const { labels, bytes: count } of this.totals(source)) bytes.inc(labels, count);
      },
    });
    this.refusedTables = new Counter({
      name: 'twohop_table_refused_total',
      help: 'Forwarding-table files that were not taken, by reason',
      labelNames: ['trafficset', 'reason'],
      registers,
    });
    const version = new Gauge({
      name: 'twohop_table_version',
      help: 'Version of the forwarding table that every worker uses; -1 before the first',
      labelNames: ['trafficset'],
      registers,
      collect: () => {
        version.reset();
        for (const table of source.tables()) version.set({ trafficset: table.trafficset }, table.version);
      },
    });
    const buckets = new Gauge({
      name: 'twohop_table_buckets',
      help: 'Buckets of that table',
      labelNames: ['trafficset'],
      registers,
      collect: () => {
        buckets.reset();
        for (const table of source.tables()) buckets.set({ trafficset: table.trafficset }, table.buckets);
      },
    });
    this.refusedSessions = new Counter({
      name: 'twohop_sessions_refused_total',
      help: 'Session files that were not taken, by reason',
      labelNames: ['trafficset', 'reason'],
      registers,
    });
    const sessions = new Gauge({
      name: 'twohop_sessions',
      help: 'Sessions that the service of this server has, as every worker knows them; -1 before the first set',
      labelNames: ['trafficset'],
      registers,
      collect: () => {
        sessions.reset();
        for (const gauge of source.sessions()) sessions.set({ trafficset: gauge.trafficset }, gauge.sessions);
      },
    });
    this.dissectorMetrics(source);
    this.portMetrics(source);
  }

  private dissectorMetrics(source: MetricsSource): void {
    const registers = [this.registry];
    const keys = new Counter({
      name: 'twohop_flow_keys_total',
      help: "Packets whose flow key was not the dissector's own: the 4-tuple, or a server that the packet names",
      labelNames: ['trafficset', 'dissector', 'key'],
      registers,
      collect: () => {
        keys.reset();
        for (const { labels, packets } of this.keyTotals(source)) {
          if (labels.key !== undefined) keys.inc(labels, packets);
        }
      },
    });
    const drops = new Counter({
      name: 'twohop_dissector_drops_total',
      help: 'Packets that the flow dissector refused, by reason',
      labelNames: ['trafficset', 'dissector', 'reason'],
      registers,
      collect: () => {
        drops.reset();
        for (const { labels, packets } of this.keyTotals(source)) {
          if (labels.reason !== undefined) drops.inc(labels, packets);
        }
      },
    });
  }

  private portMetrics(source: MetricsSource): void {
    const registers = [this.registry];
    const sum = (field: StatusField) => sumOf(source.status(), field);
    for (const [what, name] of [
      ['Packets', 'packets'],
      ['Bytes', 'bytes'],
      ['Errors', 'errors'],
    ] as const) {
      const counter = new Counter({
        name: `twohop_port_${name}_total`,
        help: `${what} through the node's ports`,
        labelNames: ['port', 'direction'],
        registers,
        collect: () => {
          counter.reset();
          counter.inc({ port: 'tun', direction: 'received' }, sum(`tunReceived${what}`));
          counter.inc({ port: 'tun', direction: 'sent' }, sum(`tunSent${what}`));
          counter.inc({ port: 'gue', direction: 'received' }, sum(`gueReceived${what}`));
          counter.inc({ port: 'underlay', direction: 'sent' }, source.underlaySent()[name]);
        },
      });
    }
    const offload = new Gauge({
      name: 'twohop_offload',
      help: 'What goes through the ports in super-packets and trains: off, tcp or tcp+udp; always 1',
      labelNames: ['offload'],
      registers,
      collect: () => {
        offload.reset();
        offload.set({ offload: source.offload() }, 1);
      },
    });
    const tunCalls = new Gauge({
      name: 'twohop_tun_calls',
      help: 'How the TUN is read and written: many packets per system call (batched), or one (single); always 1',
      labelNames: ['calls'],
      registers,
      collect: () => {
        tunCalls.reset();
        tunCalls.set({ calls: source.tunCalls() }, 1);
      },
    });
    const tooBig = new Counter({
      name: 'twohop_underlay_too_big_total',
      help: 'Packets that the interface would not take because of its MTU (EMSGSIZE); among the errors too',
      registers,
      collect: () => {
        tooBig.reset();
        tooBig.inc(source.underlaySent().tooBig);
      },
    });
    const lookups = new Counter({
      name: 'twohop_socket_lookups_total',
      help: 'TCP socket lookups that the cache answered (hit) or not (miss), and questions asked of the kernel',
      labelNames: ['result'],
      registers,
      collect: () => {
        lookups.reset();
        lookups.inc({ result: 'hit' }, sum('lookupHits'));
        lookups.inc({ result: 'miss' }, sum('lookupMisses'));
        lookups.inc({ result: 'kernel' }, sum('kernelLookups'));
      },
    });
    const drops = new Counter({
      name: 'twohop_gue_kernel_drops_total',
      help: 'GUE datagrams that the kernel dropped because the receive buffer was full',
      registers,
      collect: () => {
        drops.reset();
        drops.inc(sum('gueKernelDrops'));
      },
    });
    const syns = new Counter({
      name: 'twohop_syn_budget_drops_total',
      help: 'SYNs that the kernel dropped before the TUN because they were more than node.syn_rate; in no verdict',
      registers,
      collect: async () => {
        const dropped = await source.synDrops();
        syns.reset();
        syns.inc(dropped);
      },
    });
    const batches = new Counter({
      name: 'twohop_batches_total',
      help: 'Batches of packets handled',
      registers,
      collect: () => {
        batches.reset();
        batches.inc(sum('batches'));
      },
    });
    const wakeups = new Counter({
      name: 'twohop_wakeups_total',
      help: 'Times a worker returned from poll(2)',
      registers,
      collect: () => {
        wakeups.reset();
        wakeups.inc(sum('wakeups'));
      },
    });
  }

  tableRefused(trafficset: string, reason: string): void {
    this.refusedTables.inc({ trafficset, reason });
  }

  sessionsRefused(trafficset: string, reason: string): void {
    this.refusedSessions.inc({ trafficset, reason });
  }

  /**
   * Keeps what was counted before a reload. A worker may go on counting there until it has taken the new
   * configuration, so the last counters are read, not copied, until the next reload.
   * @param names of the trafficsets as they were; @param dissectors likewise
   */
  retire(
    counters: readonly PathCounters[],
    names: readonly string[],
    dissectors: readonly DissectorLabels[],
  ): void {
    addTotals(this.retired, this.last.counters, this.last.names);
    addKeyTotals(this.retiredKeys, this.last);
    this.last = { counters, names, dissectors };
  }

  async text(): Promise<{ text: string; contentType: string }> {
    return { text: await this.registry.metrics(), contentType: this.registry.contentType };
  }

  private totals(source: MetricsSource): Iterable<{
    labels: Record<string, string>;
    packets: number;
    bytes: number;
  }> {
    const totals: Totals = new Map();
    for (const [key, entry] of this.retired) totals.set(key, { ...entry });
    addTotals(totals, this.last.counters, this.last.names);
    addTotals(totals, source.counters(), source.trafficsets());
    return totals.values();
  }

  private keyTotals(source: MetricsSource): Iterable<{ labels: Record<string, string>; packets: number }> {
    const totals: Totals = new Map();
    for (const [key, entry] of this.retiredKeys) totals.set(key, { ...entry });
    addKeyTotals(totals, this.last);
    addKeyTotals(totals, {
      counters: source.counters(),
      names: source.trafficsets(),
      dissectors: source.dissectors(),
    });
    return totals.values();
  }
}

function addKeyTotals(totals: Totals, { counters, names, dissectors }: Counted): void {
  for (const [index, { name: dissector, drops }] of dissectors.entries()) {
    const trafficset = names[index];
    const outcomes = [
      ...KEY_OUTCOME_NAMES.map((key, outcome) => ({ outcome, labels: { trafficset, dissector, key } })),
      ...drops.map((reason, drop) => ({
        outcome: KeyOutcome.Drop + drop,
        labels: { trafficset, dissector, reason },
      })),
    ];
    for (const { outcome, labels } of outcomes) {
      const packets = counters.reduce((sum, each) => sum + each.keyCount(index, outcome), 0);
      if (packets > 0) addTo(totals, labels, packets, 0);
    }
  }
}

function addTotals(totals: Totals, counters: readonly PathCounters[], names: readonly string[]): void {
  for (const each of counters) {
    each.forEach((stage, trafficset, verdict, packets, bytes) => {
      const labels = {
        stage: STAGE_NAMES[stage],
        trafficset: trafficset < 0 ? '' : names[trafficset],
        verdict: VERDICTS[verdict].name,
        action: ACTION_NAMES[VERDICTS[verdict].action],
      };
      addTo(totals, labels, packets, bytes);
    });
  }
}

function addTo(totals: Totals, labels: Record<string, string>, packets: number, bytes: number): void {
  const key = JSON.stringify(labels);
  const entry = totals.get(key) ?? { labels, packets: 0, bytes: 0 };
  entry.packets += packets;
  entry.bytes += bytes;
  totals.set(key, entry);
}
