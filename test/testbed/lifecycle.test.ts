import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { streamDigest } from '../../src/testbed/stream.js';
import { describePrivileged } from '../privileged.js';
import {
  footprint,
  mountsOfThisProcess,
  parentOf,
  processesIn,
  startTwohop,
  twohop,
  until,
} from './support.js';

const NEEDS = ['root', 'namespaces', 'ip', 'curl'] as const;
const NAME = `test-${process.pid}`;
const PLAIN = ['--name', NAME, '--servers', '3', '--clients', '1', '--no-load-balancer'];

/** Three services and a client; the holder, pid 1 and the `unshare` that waits for it. */
const PROCESSES = 7;

/** Kernels before 6.11 hash with a seed of their own. */
const SEED_FILE = '/proc/sys/net/ipv4/fib_multipath_hash_seed';

interface Listed {
  readonly name: string;
  readonly pid: number;
}

async function stateOf(name: string): Promise<Listed | undefined> {
  const { stdout } = await twohop(['testbed', 'list', '--json']);
  return (JSON.parse(stdout) as Listed[]).find((state) => state.name === name);
}

async function requirePid(): Promise<number> {
  const state = await stateOf(NAME);
  if (state === undefined) throw new Error('it is not listed');
  return state.pid;
}

const inside = (namespace: string, ...command: string[]) =>
  twohop(['testbed', 'exec', '--name', NAME, namespace, '--', ...command]);

describePrivileged('twohop testbed', NEEDS, () => {
  afterEach(async () => {
    if ((await stateOf(NAME)) !== undefined) await twohop(['testbed', 'down', '--name', NAME]);
  });

  it('goes up, is entered and listed, and goes down without a trace', async () => {
    const mounts = mountsOfThisProcess();
    expect(await twohop(['testbed', 'up', ...PLAIN])).toMatchObject({ code: 0, stderr: '' });
    const { namespaces, processes } = footprint(await requirePid());
    expect(processes.length).toBe(PROCESSES);
    // Three servers', the client's and the enclosure's own; nobody is in the router's.
    expect([...namespaces].filter((name) => name.startsWith('net')).length).toBe(5);

    const again = await twohop(['testbed', 'up', ...PLAIN]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain(`"${NAME}" is up already`);

    for (const url of ['http://192.0.2.1/', 'http://192.0.2.77:8080/', 'http://[2001:db8:100::1]/']) {
      expect((await inside('c1', 'curl', '-sS', url)).stdout).toMatch(/^s[123]\n$/);
    }
    expect(await twohop(['testbed', 'down', '--name', NAME])).toMatchObject({ code: 0 });
    expect(processesIn(namespaces)).toEqual([]);
    expect(mountsOfThisProcess()).toBe(mounts);
    expect(await stateOf(NAME)).toBeUndefined();
    const twice = await twohop(['testbed', 'down', '--name', NAME]);
    expect(twice.code).toBe(1);
    expect(twice.stderr).toContain(`no data center "${NAME}" is up`);
  });

  it('passes input, output, exit code, working directory and /sys of the namespace through exec', async () => {
    await twohop(['testbed', 'up', ...PLAIN]);
    const exec = ['testbed', 'exec', '--name', NAME];
    expect((await twohop([...exec, 's1', '--', 'cat'], 'through\n')).stdout).toBe('through\n');
    expect((await inside('s1', 'sh', '-c', 'exit 7')).code).toBe(7);
    expect((await inside('s1', 'pwd')).stdout).toBe(`${process.cwd()}\n`);
    expect((await inside('r0', 'ls', '/sys/class/net')).stdout.split('\n')).toEqual([
      'c1',
      'lo',
      's1',
      's2',
      's3',
      '',
    ]);
    expect((await inside('s1', 'sh', '-c', 'kill -TERM $$')).code).toBe(128 + 15);
    expect((await inside('s1', 'no-such-command')).code).toBe(127);
    const unknown = await inside('s9', 'true');
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain('no namespace "s9"');
    expect(unknown.stderr).toContain('r0, s1, s2, s3, c1');
  });

  it('lets the command in exec decide about Ctrl-C, and hears it out', async () => {
    await twohop(['testbed', 'up', ...PLAIN]);
    const mark = join(mkdtempSync(join(tmpdir(), 'twohop-')), 'last-words');
    const script = `trap 'sleep 0.2; echo > ${mark}; exit' INT; echo ready; while :; do sleep 0.05; done`;
    const exec = startTwohop('testbed', 'exec', '--name', NAME, 's1', '--', 'sh', '-c', script);
    await until(() => exec.printed().includes('ready'));
    // As a terminal does: to everybody in the foreground process group.
    process.kill(-(exec.child.pid ?? 0), 'SIGINT');
    const code = await new Promise((resolve) => exec.child.once('exit', resolve));
    expect(existsSync(mark)).toBe(true);
    expect(code).toBe(128 + 2);
    rmSync(dirname(mark), { recursive: true });
  });

  it('serves streams whose checksum anybody can compute', async () => {
    await twohop(['testbed', 'up', ...PLAIN]);
    const url = 'http://192.0.2.1/download?bytes=3000000&seed=5';
    const { stdout } = await inside('c1', 'sh', '-c', `curl -sS '${url}' | sha256sum`);
    expect(stdout.split(' ')[0]).toBe(streamDigest(5, 3_000_000));
  });

  it('places flows by their 4-tuple: as the router says, and the same again with the same settings', async () => {
    await twohop(['testbed', 'up', ...PLAIN]);
    const ports = Array.from({ length: 20 }, (_, index) => 20_000 + index);
    const lookups = ports.map(
      (port) => `route get 192.0.2.1 from 198.51.100.3 iif c1 ipproto tcp sport ${port} dport 80`,
    );
    const answersOfRouter = async (seed: number, order: string): Promise<string[]> => {
      const setSeed = existsSync(SEED_FILE) ? `echo ${seed} > ${SEED_FILE}` : ':';
      const script = `${setSeed}; ip nexthop replace id 4 group ${order}; ip -oneline -batch - <<'END'\n${lookups.join('\n')}\nEND`;
      const { stdout } = await inside('r0', 'sh', '-c', script);
      return [...stdout.matchAll(/ dev (s\d)/g)].map(([, server]) => server);
    };
    const curls = ports.map((port) => `curl -sS --local-port ${port} http://192.0.2.1/`);
    const said = await answersOfRouter(1, '401/402/403');
    expect(new Set(said)).toEqual(new Set(['s1', 's2', 's3']));
    expect((await inside('c1', 'sh', '-c', curls.join('\n'))).stdout.trim().split('\n')).toEqual(said);
    expect(await answersOfRouter(1, '403/401/402')).not.toEqual(said);
    if (existsSync(SEED_FILE)) expect(await answersOfRouter(2, '401/402/403')).not.toEqual(said);
    expect(await answersOfRouter(1, '401/402/403')).toEqual(said);
  });

  it.each(['pid 1 inside', 'the process that waits for pid 1'])(
    'leaves nothing when %s is killed, and forgets it',
    async (victim) => {
      await twohop(['testbed', 'up', ...PLAIN]);
      const pid = await requirePid();
      const { namespaces } = footprint(pid);
      process.kill(victim === 'pid 1 inside' ? pid : parentOf(pid), 'SIGKILL');
      await until(() => processesIn(namespaces).length === 0);
      const list = await twohop(['testbed', 'list']);
      expect(list.stderr).toContain(`"${NAME}" had ended`);
      expect((await twohop(['testbed', 'list'])).stderr).toBe('');
    },
  );

  it.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
    'in the foreground, leaves nothing on %s',
    async (signal) => {
      const mounts = mountsOfThisProcess();
      const foreground = startTwohop('testbed', 'up', ...PLAIN, '--foreground');
      await until(() => foreground.printed().includes('is up'));
      const { namespaces, processes } = footprint(await requirePid());
      expect(processes.length).toBe(PROCESSES);
      foreground.child.kill(signal);
      const { code } = await foreground.ended;
      expect(code).toBe(signal === 'SIGKILL' ? null : 0);
      await until(() => processesIn(namespaces).length === 0);
      expect(mountsOfThisProcess()).toBe(mounts);
      expect(await stateOf(NAME)).toBeUndefined();
    },
  );

  it('leaves nothing when it is killed before it is up', async () => {
    const before = startTwohop('testbed', 'up', ...PLAIN);
    // Itself, and what is to become the enclosure.
    await until(() => before.processes().length > 1);
    before.child.kill('SIGKILL');
    await until(() => before.processes().length === 0);
    expect(await stateOf(NAME)).toBeUndefined();
  });
});
