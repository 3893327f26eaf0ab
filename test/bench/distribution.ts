import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../src/store/open.js';
import { decodeRecord, Keys, nodeRecord } from '../../src/store/records.js';
import type { Store } from '../../src/store/store.js';
import { type Published, publishTable } from '../../src/store/tables.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { TestEtcd } from '../store/etcd.js';
import type { NodesInit } from './distribution-nodes.js';
import { Random } from './packets.js';
import type { Row } from './report.js';
import { spreadOf } from './stats.js';

/**
 * How long does a change of a table take to every node: published in a real etcd, followed, loaded, checked and
 * acknowledged by a hundred nodes, each with a store client of its own, in a few processes; until the conductor has seen
 * the acknowledgement?
 */

const NODES = 100;
const PROCESSES = 4;
const BUCKETS = 131_072;
const SERVERS = 1_000;
/** A server's worth of buckets, ten times. */
const MOVES = 1_310;
const MEDIAN_MS = 300;
const ALL_MS = 2_000;

export function missingForDistribution(): string | undefined {
  return spawnSync('etcd', ['--version']).status === 0
    ? undefined
    : 'etcd is not installed (apt-get install etcd-server)';
}

export async function benchDistribution(rounds: number): Promise<Row[]> {
  // As it comes: what is written is on the disk before it is told.
  const etcd = await TestEtcd.start([]);
  const store = await openStore(etcd.address('bench'));
  const children: ChildProcess[] = [];
  try {
    return await measure(store, etcd.address('bench'), children, rounds);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await store.close();
    await etcd.remove();
  }
}

async function measure(
  store: Store,
  address: string,
  children: ChildProcess[],
  rounds: number,
): Promise<Row[]> {
  const acks = new Acks(store);
  let { state } = await publish(store, firstTable(), null);
  for (let at = 0; at < PROCESSES; at++) {
    const init: NodesInit = { address, first: (at * NODES) / PROCESSES, count: NODES / PROCESSES };
    const program = fileURLToPath(new URL('./distribution-nodes.js', import.meta.url));
    children.push(fork(program, [JSON.stringify(init)], { stdio: 'inherit' }));
  }
  await acks.of(0);
  const random = new Random(5);
  const times: number[] = [];
  const slowest: number[] = [];
  const bytes: number[] = [];
  // The first rounds meet code that is not compiled yet.
  const warmUp = 3;
  for (let round = -warmUp; round < rounds; round++) {
    const next = changed(state, random);
    const started = performance.now();
    const result = await publish(store, next, state);
    const after = (await acks.of(next.table.version)).map((at) => at - started);
    state = result.state;
    if (round < 0) continue;
    times.push(...after);
    slowest.push(Math.max(...after));
    bytes.push(result.nodeBytes / MOVES);
  }
  acks.close();
  return rowsOf(times, slowest, bytes);
}

function rowsOf(times: readonly number[], slowest: readonly number[], bytes: readonly number[]): Row[] {
  const [each, all, sent] = [spreadOf(times), spreadOf(slowest), spreadOf(bytes)];
  return [
    {
      name: 'distribution',
      unit: 'ms to a node',
      js: each,
      bar: `median < ${MEDIAN_MS} ms`,
      pass: each.median < MEDIAN_MS,
      notes: [
        `${MOVES} of ${BUCKETS} buckets change; from before it is published until the conductor has a node's ` +
          `acknowledgement; ${NODES} nodes with etcd clients of their own, etcd with fsync, all on this machine`,
      ],
    },
    {
      name: 'distribution, the last node',
      unit: 'ms',
      js: all,
      bar: `max < ${ALL_MS} ms`,
      pass: all.max < ALL_MS,
      notes: ['the slowest node of each round'],
    },
    {
      name: 'distribution, size',
      unit: 'bytes per move',
      js: sent,
      notes: [
        `read by each node; the whole table has ${BUCKETS * 8} bytes, ${Math.round((BUCKETS * 8) / MOVES)} per move`,
      ],
    },
  ];
}

/** When the nodes' acknowledgements were seen, by `performance.now()`. */
class Acks {
  private readonly seen = new Map<string, { version: number; at: number }>();
  private readonly following: { close(): void };

  constructor(store: Store) {
    this.following = store.follow(Keys.nodes, {
      reset: ({ entries }) => {
        for (const { key, value } of entries) this.take(key, value);
      },
      changes: (changes) => {
        for (const change of changes)
          if (change.type === 'put') this.take(change.entry.key, change.entry.value);
      },
      available: () => {},
    });
  }

  /** Waits until all nodes have this version. */
  async of(version: number): Promise<number[]> {
    const have = () => [...this.seen.values()].filter((ack) => ack.version === version);
    await waitUntil(`${NODES} nodes to have version ${version}`, () => have().length === NODES, 60_000);
    return have().map(({ at }) => at);
  }

  close(): void {
    this.following.close();
  }

  private take(key: string, value: Uint8Array): void {
    const at = performance.now();
    const version = decodeRecord(nodeRecord, value)?.tables.web;
    if (version !== undefined) this.seen.set(key, { version, at });
  }
}

type Publication = Parameters<typeof publishTable>[1];

async function publish(store: Store, next: Publication, previous: Published | null) {
  const result = await publishTable(store, next, previous, []);
  if (!result.published) throw new Error('somebody else publishes');
  return result;
}

function firstTable(): Publication {
  const slots = new Uint32Array(2 * BUCKETS);
  for (let bucket = 0; bucket < BUCKETS; bucket++) slots[2 * bucket] = dipOf(bucket % SERVERS);
  return publicationOf(slots, 0, new Uint32Array(BUCKETS));
}

/** The next version: buckets here and there get another first hop, and keep the one they had as the second. */
function changed({ table, changedAt }: Published, random: Random): Publication {
  const slots = Uint32Array.from(table.slots);
  const ages = Uint32Array.from(changedAt);
  const buckets = new Set<number>();
  while (buckets.size < MOVES) buckets.add(random.below(BUCKETS));
  for (const bucket of buckets) {
    const before = slots[2 * bucket];
    slots[2 * bucket] = dipOf((before - dipOf(0) + 1 + random.below(SERVERS - 1)) % SERVERS);
    slots[2 * bucket + 1] = before;
    ages[bucket] = 1_800_000_000 + table.version;
  }
  return publicationOf(slots, table.version + 1, ages);
}

function publicationOf(slots: Uint32Array, version: number, changedAt: Uint32Array): Publication {
  const hashKey = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  return {
    table: new ForwardingTable({ trafficset: 'web', version, hashKey, slots }),
    changedAt,
    planner: { version, corrections: {} },
  };
}

function dipOf(server: number): number {
  return 0x0a000001 + server;
}
