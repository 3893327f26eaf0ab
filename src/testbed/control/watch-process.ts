import type { z } from 'zod';
import { openStore } from '../../store/open.js';
import {
  conductorRecord,
  decodeRecord,
  Keys,
  nodeRecord,
  serverRecord,
  statusRecord,
} from '../../store/records.js';
import type { Entry, Store } from '../../store/store.js';
import { TableKeys, tableHead } from '../../store/table-head.js';
import { writeJsonLine } from '../json-lines.js';
import { TRAFFICSET } from './cluster.js';
import type { ControlView } from './view.js';

/** How soon a change is told; what changes until then is told with it. */
const QUIET_MS = 50;

/** The process that looks into the store for the scenarios: prints a {@link ControlView} per line as it changes. */
export async function watchControlPlane(address: string): Promise<void> {
  const store = await openStore(address);
  let due = false;
  const tell = (): void => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      writeJsonLine(process.stdout, view());
    }, QUIET_MS);
  };
  const servers = new Records(store, Keys.servers, serverRecord, tell);
  const nodes = new Records(store, Keys.nodes, nodeRecord, tell);
  const conductors = new Records(store, Keys.conductors, conductorRecord, tell);
  const leader = new Records(store, Keys.leader, conductorRecord, tell);
  const status = new Records(store, Keys.status, statusRecord, tell);
  const heads = new Records(store, TableKeys.head(TRAFFICSET), tableHead, tell);
  const view = (): ControlView => ({
    available: status.available,
    leader: leader.all['']?.name ?? null,
    conductors: Object.keys(conductors.all).sort(),
    servers: servers.all,
    nodes: nodes.all,
    table: heads.all[''] ?? null,
    status: status.all[''] ?? null,
  });
}

/** The records behind a prefix, by what follows it in their keys. */
class Records<Shape> {
  available = false;
  all: Record<string, Shape> = {};

  constructor(
    store: Store,
    private readonly prefix: string,
    private readonly shape: z.ZodType<Shape>,
    changed: () => void,
  ) {
    store.follow(prefix, {
      reset: ({ entries }) => {
        this.all = {};
        for (const entry of entries) this.put(entry);
        this.available = true;
        changed();
      },
      changes: (changes) => {
        for (const change of changes) {
          if (change.type === 'put') this.put(change.entry);
          else delete this.all[change.key.slice(prefix.length)];
        }
        changed();
      },
      available: (available) => {
        this.available = available;
        changed();
      },
    });
  }

  private put({ key, value }: Entry): void {
    const record = decodeRecord(this.shape, value);
    if (record !== null) this.all[key.slice(this.prefix.length)] = record;
  }
}
