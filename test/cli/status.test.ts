import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { serverCommand } from '../../src/cli/server.js';
import { statusCommand } from '../../src/cli/status.js';
import { topCommand } from '../../src/cli/top.js';
import { describePrivileged } from '../privileged.js';
import { ControlRoom } from './control-room.js';
import { runCommand } from './run.js';

let room: ControlRoom;

afterEach(() => room.end());

const status = (...words: string[]) => runCommand(statusCommand(), [...words, '--config', room.config]);
const top = (...words: string[]) => runCommand(topCommand(), [...words, '--config', room.config]);
const drain = (name: string) => runCommand(serverCommand(), ['drain', name, '--config', room.config]);

describe('twohop status', () => {
  it('shows conductors, servers, shares, versions and moves on one screen', async () => {
    room = await ControlRoom.open();
    await drain('s2');
    const { code, out } = await status();
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`store +${room.store.description}`));
    expect(out).toMatch(/conductors {2}a is active since [\d:]+; none stands by/);
    expect(out).toMatch(/│ s1 +│ 10\.0\.1\.1 +│ 1 +│ in +│ 50 % +│ - +│ +33\.\d %/);
    expect(out).toMatch(/│ s2 +│ 10\.0\.1\.2 +│ 1 +│ drained +│ 50 % +│ - +│ - /);
    expect(out).toMatch(/web: version 2, 1024 buckets, 256 with a second hop \(25\.0 %\); 4 nodes use it/);
    expect(out).toMatch(/last moves\n +[\d:]+ web 2 +drain: 256 buckets from s2/);
  });

  it('tells the same as JSON', async () => {
    room = await ControlRoom.open();
    await drain('s2');
    const data = JSON.parse((await status('--json')).out);
    expect(data).toMatchObject({
      store: { address: room.store.description, reachable: true },
      conductors: [{ name: 'a', active: true }],
      active: 'a',
      wideProblem: null,
      damagedServers: [],
      trafficsets: { web: { version: 2, secondHops: 256, nodesBehind: [], waiting: [] } },
    });
    const servers = new Map(data.servers.map((one: { name: string }) => [one.name, one]));
    expect(servers.get('s2')).toMatchObject({ wanted: 'drained', standing: 'drained', newFlows: { web: 0 } });
    expect(servers.get('s1')).toMatchObject({ standing: 'in', node: { healthy: true, tables: { web: 2 } } });
  });

  it('names nodes that are behind, and records that cannot be read', async () => {
    room = await ControlRoom.open();
    room.standStill('s3');
    await runCommand(serverCommand(), ['drain', 's2', '--timeout', '1', '--config', room.config]);
    await room.store.transact({ puts: [{ key: 'servers/s9', value: Buffer.from('{') }] });
    const { out } = await status();
    expect(out).toMatch(/3 of 4 nodes use it; behind: s3 \(version 1\)/);
    expect(out).toMatch(/servers\/s9 in the store cannot be read/);
  });

  it('says when no conductor is active, and whose word it shows', async () => {
    room = await ControlRoom.open();
    await room.stopConductor();
    const { code, out } = await status();
    expect(code).toBe(0);
    expect(out).toMatch(/none is active: nothing follows servers, health or load/);
    expect(out).toMatch(/what follows is what conductor a said last/);
    expect(out).toMatch(/web: version 1/);
  });

  it('works on a store that nothing was ever written to', async () => {
    room = ControlRoom.make();
    const { code, out } = await status();
    expect(code).toBe(0);
    expect(out).toMatch(/no servers: add one with twohop server add, or start a conductor/);
  });
});

describe('twohop top in a pipe', () => {
  it('prints a line per server and look', async () => {
    room = await ControlRoom.open();
    const { code, out } = await top('--count', '2');
    expect(code).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines.map((line) => line.split(' ')[1])).toEqual([
      ...['s1', 's2', 's3', 's4'],
      ...['s1', 's2', 's3', 's4'],
    ]);
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z s1 in cpu=0\.50 web=25\.0%$/);
  });
});

describePrivileged('twohop top on a terminal', ['script'], () => {
  const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

  /** Types what is given, and returns what the terminal got. */
  function onTerminal(words: string, typed = '') {
    const command = `stty cols 100 rows 40; ${process.execPath} ${MAIN} top ${words} --config ${room.config}`;
    return spawnSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      input: typed,
      timeout: 30_000,
    });
  }

  it('draws one screen, and leaves it there', async () => {
    room = await ControlRoom.open();
    await drain('s2');
    const { status, stdout } = onTerminal('--count 1');
    expect(status).toBe(0);
    expect(stdout).toMatch(/load, over time/);
    expect(stdout).toMatch(/s1 .*10\.0\.1\.1 .*in.* 50 % .*33\.\d %/);
    expect(stdout).toMatch(/web.*: version 2, 1024 buckets/);
  });

  it('ends when q is typed', async () => {
    room = await ControlRoom.open();
    const { status, signal } = onTerminal('--interval 3600', 'q');
    expect([status, signal]).toEqual([0, null]);
  });
});
