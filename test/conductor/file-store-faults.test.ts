import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Conductor } from '../../src/conductor/conductor.js';
import { FileStore } from '../../src/store/file.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { runEnclosed } from '../enclosed.js';
import { describePrivileged } from '../privileged.js';
import { FollowingNodes } from './following-nodes.js';
import { clusterOf, clusterText, LogLines, putServer, startConductor } from './support.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

let directory: string;
let store: FileStore;
let nodes: FollowingNodes;
let conductor: Conductor;
let log: LogLines;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-damaged-'));
  const path = join(directory, 'store');
  store = FileStore.open(path);
  nodes = new FollowingNodes(FileStore.open(path));
  log = new LogLines();
  const cluster = clusterOf({
    conductor: '{ node_absence_seconds: 1, settle_seconds: 0 }',
    balance: '{ buckets: 1024, max_change_per_minute: 1, load: none }',
  });
  conductor = await startConductor(FileStore.open(path), cluster, { log: log.log });
  await waitUntil('a first table', () => nodes.version === 1);
});

afterEach(async () => {
  await Promise.all([conductor.stop(), nodes.end(), store.close()]);
  rmSync(directory, { recursive: true });
  expect(nodes.wrong).toEqual([]);
});

/** Cuts the newest file of the journal off in the middle. @returns its name */
function truncateNewest(): string {
  const journal = join(directory, 'store', 'journal');
  const path = join(journal, readdirSync(journal).sort().at(-1) ?? '');
  truncateSync(path, Math.floor(statSync(path).size / 2));
  return path;
}

describe('a conductor whose store has a truncated file', () => {
  it('publishes nothing and names the file, and goes on above every version when that is removed', async () => {
    await putServer(store, 's2', { state: 'drained' });
    await waitUntil('a table that follows', () => nodes.version === 2);
    const before = nodes.table;
    const path = truncateNewest();
    await waitUntil('the conductor to step down', () => !conductor.leads);
    await waitUntil('it to say why', () => log.has(`the store is away, nodes keep what they have: ${path}`));
    expect(log.has('remove this file and all in the same directory whose number is higher')).toBe(true);
    expect(conductor.health()).toMatchObject({ ok: false, detail: { store: 'away' } });
    await expect(putServer(store, 's3', { state: 'drained' })).rejects.toMatchObject({ code: 'damaged' });
    expect(nodes.table).toBe(before);

    rmSync(path);
    await waitUntil('the conductor to lead again', () => conductor.leads && conductor.health().ok);
    await putServer(store, 's3', { state: 'drained' });
    await waitUntil('a table that follows', () => nodes.version > 2);
    expect(nodes.versions.slice(0, 2)).toEqual([1, 2]);
  });

  it('does not start on it, and says so', () => {
    const path = truncateNewest();
    const config = join(directory, 'cluster.yaml');
    writeFileSync(config, clusterText({ store: `file:${join(directory, 'store')}` }));
    const run = spawnSync(process.execPath, [MAIN, 'conductor', '--config', config, '--name', 'b'], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(run.stderr).toContain(`twohop: ${path}`);
    expect(run.stderr).toContain('remove this file');
    expect(run.status).toBe(1);
  });
});

describePrivileged('a conductor whose store is on a full disk', ['root', 'namespaces'], () => {
  it('keeps the table and its leadership, says what is wrong, and publishes once there is room', () => {
    const seen = runEnclosed(new URL('fixtures/full-disk.mjs', import.meta.url));
    const why = 'the store /run/small/store cannot be written: there is no space left: make room';
    expect(seen).toEqual({
      whenFull: { version: 1, refused: [`the store does not take version 2: ${why}`], leads: true },
      afterwards: ['the store takes tables again'],
      led: 1,
    });
  });
});
