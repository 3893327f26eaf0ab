import { openStore } from '../../src/store/open.js';
import { encodeRecord, Keys, type NodeRecord } from '../../src/store/records.js';
import { followTables } from '../../src/store/tables.js';

/** Some of the nodes of `distribution.ts`: each follows the table, and says which version it has. */

export interface NodesInit {
  readonly address: string;
  /** Number of the first. */
  readonly first: number;
  readonly count: number;
}

async function startNode(address: string, name: string): Promise<void> {
  const store = await openStore(address);
  const lease = await store.lease(10);
  let sequence = 0;
  const acknowledge = (version: number) => {
    const record: NodeRecord = {
      dip: '10.0.0.1',
      sequence: ++sequence,
      healthy: true,
      tables: { web: version },
      vips: {},
      cpu: null,
      routes: 'none',
    };
    return store.transact({ puts: [{ key: Keys.node(name), value: encodeRecord(record), lease }] });
  };
  // One after the other takes its first table: a hundred whole ones at once are not what is measured.
  await new Promise<void>((resolve) => {
    followTables(store, 'web', {
      table: (table) => void acknowledge(table.version).then(() => resolve(), giveUp),
      refused: (reason, message) => {
        if (reason !== 'missing') process.stderr.write(`${name}: ${message}\n`);
      },
    });
  });
}

/** The benchmark ends in failure when an acknowledgement is missing: why is said here. */
function giveUp(error: unknown): void {
  process.stderr.write(`${error}\n`);
}

const init = JSON.parse(process.argv[2]) as NodesInit;
for (let at = 0; at < init.count; at++) await startNode(init.address, `n${init.first + at}`);
