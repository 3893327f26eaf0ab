import { afterEach, beforeEach, vi } from 'vitest';
import type { Conductor } from '../../src/conductor/conductor.js';
import { MemoryServer, type MemoryStore } from '../../src/store/memory.js';
import {
  type ClusterText,
  clusterOf,
  FakeNode,
  LogLines,
  SERVERS,
  startConductor,
  tableIn,
} from './support.js';

/** Everything around one memory store, with time that stands still until a test lets it pass. */
export class World {
  readonly server = new MemoryServer();
  /** The test's own client. */
  readonly store = this.server.open();
  readonly nodes = new Map<string, FakeNode>();
  private readonly running = new Map<string, { conductor: Conductor; store: MemoryStore }>();

  /** Nodes that report each second and take every table at once. */
  async startNodes(names: readonly string[] = SERVERS): Promise<void> {
    for (const name of names) {
      const node = new FakeNode(this.store, name);
      this.nodes.set(name, node);
      await node.report();
    }
  }

  async start(
    name: string,
    text: ClusterText = {},
    options: { newTables?: string[] } = {},
  ): Promise<{
    conductor: Conductor;
    log: LogLines;
    store: MemoryStore;
    /** From now on it is told nothing of this prefix. */
    deafen(prefix: string): void;
  }> {
    const log = new LogLines();
    const store = this.server.open();
    const deaf = new Set<string>();
    const follow = store.follow.bind(store);
    store.follow = (prefix, events) =>
      follow(prefix, {
        ...events,
        reset: (listing) => {
          if (!deaf.has(prefix)) events.reset(listing);
        },
        changes: (changes, revision) => {
          if (!deaf.has(prefix)) events.changes(changes, revision);
        },
        available: (available, why) => events.available(available, why),
      });
    const starting = startConductor(store, clusterOf(text), { name, log: log.log, ...options });
    await vi.advanceTimersByTimeAsync(20);
    const conductor = await starting;
    this.running.set(name, { conductor, store });
    return { conductor, log, store, deafen: (prefix) => void deaf.add(prefix) };
  }

  /** Seconds go by; nodes report meanwhile, and take up tables. */
  async pass(seconds: number): Promise<void> {
    for (let left = 1000 * seconds; left > 0; left -= 250) {
      await vi.advanceTimersByTimeAsync(Math.min(250, left));
      const version = (await tableIn(this.store).catch(() => null))?.version;
      for (const node of this.nodes.values()) {
        if (version !== undefined) node.tables = { web: Math.max(version, node.tables.web ?? -1) };
        await node.report().catch(() => {});
      }
    }
  }

  async stop(name: string): Promise<void> {
    const found = this.running.get(name);
    this.running.delete(name);
    const stopping = found?.conductor.stop();
    await vi.advanceTimersByTimeAsync(2000);
    await stopping;
  }

  async end(): Promise<void> {
    for (const name of [...this.running.keys()]) await this.stop(name);
  }
}

/** A world for each test, under a clock that the test turns. */
export function useWorld(): () => World {
  let world: World;
  beforeEach(() => {
    vi.useFakeTimers({ now: Date.UTC(2026, 0, 1) });
    world = new World();
  });
  afterEach(async () => {
    world.server.start();
    await world.end();
    vi.useRealTimers();
  });
  return () => world;
}
