import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.js';
import { Keys } from '../../src/store/records.js';
import type { Store } from '../../src/store/store.js';
import { readPublished } from '../../src/store/tables.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { describePrivileged } from '../privileged.js';
import { TestEtcd } from '../store/etcd.js';
import { tied } from '../tied.js';
import { clusterText, putServer, statusIn } from './support.js';

/** Real conductors and real stores: what happens to leadership and to the table when processes die or stand still. */

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let directory = '';
let store: Store;
let etcd: TestEtcd | null = null;
const children = new Set<ChildProcess>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-takeover-'));
});

afterEach(async () => {
  await store.close().catch(() => {});
  for (const child of children) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await ended;
    }
  }
  children.clear();
  await etcd?.remove();
  etcd = null;
  rmSync(directory, { recursive: true });
});

function conductor(config: string, name: string): ChildProcess {
  const command = tied(process.execPath, [main, 'conductor', '--config', config, '--name', name]);
  const child = spawn(...command, { stdio: 'ignore' });
  children.add(child);
  return child;
}

async function startEtcd(): Promise<string> {
  etcd = await TestEtcd.start([]);
  return etcd.address('test');
}

async function leader(): Promise<string | null> {
  const entry = await store.get(Keys.leader);
  return entry === null ? null : JSON.parse(Buffer.from(entry.value).toString()).name;
}

function leads(name: string): Promise<void> {
  return waitUntil(`${name} leads`, async () => (await leader().catch(() => null)) === name, 30_000);
}

const STORES = [
  ['file', ['sh'], () => Promise.resolve(`file:${join(directory, 'store')}`)],
  ['etcd', ['etcd'], startEtcd],
] as const;

for (const [kind, needs, address] of STORES) {
  describePrivileged(`two conductors and a store of kind ${kind}`, needs, () => {
    let started = new Map<string, ChildProcess>();

    beforeEach(async () => {
      const at = await address();
      const config = join(directory, 'cluster.yaml');
      const balance = '{ buckets: 1024, max_change_per_minute: 1 }';
      writeFileSync(config, clusterText({ store: at, conductor: '{ node_absence_seconds: 0 }', balance }));
      store = await openStore(at);
      started = new Map([['a', conductor(config, 'a')]]);
      const published = async () => (await readPublished(store, 'web').catch(() => null)) !== null;
      await waitUntil('a first table', published, 30_000);
      await leads('a');
      started.set('b', conductor(config, 'b'));
      const present = async () => (await store.get(Keys.conductor('b'))) !== null;
      await waitUntil('b stands by', present, 30_000);
    });

    it('hand over without changing a bucket when the leader is killed', async () => {
      const before = await readPublished(store, 'web');
      started.get('a')?.kill('SIGKILL');
      await leads('b');
      await waitUntil('b has looked at all', async () => (await statusIn(store))?.conductor === 'b');
      const after = await readPublished(store, 'web');
      expect(after?.headRevision).toBe(before?.headRevision);
      expect(after?.table.slots).toEqual(before?.table.slots);
    });

    it('are not disturbed by a leader that was stopped past its lease and wakes up', async () => {
      started.get('a')?.kill('SIGSTOP');
      await leads('b');
      const revision = await putServer(store, 's2', { state: 'drained' });
      const followed = async () => {
        const status = await statusIn(store);
        return status?.conductor === 'b' && status.followed >= revision;
      };
      await waitUntil('b has drained s2', followed, 30_000);
      const before = await readPublished(store, 'web');
      started.get('a')?.kill('SIGCONT');
      // It has looked at its leadership when its presence, which went with its lease, is made anew.
      const returned = async () => (await store.get(Keys.conductor('a'))) !== null;
      await waitUntil('a stands by again', returned, 30_000);
      const after = await readPublished(store, 'web');
      expect(await leader()).toBe('b');
      expect(after?.headRevision).toBe(before?.headRevision);
    });
  });
}
