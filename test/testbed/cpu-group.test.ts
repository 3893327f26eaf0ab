import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { readCpu } from '../../src/node/cpu.js';
import { CpuGroup, groupsNamed } from '../../src/testbed/control/cpu-group.js';
import { CpuGroupKeeper } from '../../src/testbed/control/cpu-group-keeper.js';
import { describePrivileged } from '../privileged.js';
import { tied } from '../tied.js';
import { until } from './support.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that works without end. */
function worker(): ChildProcess & { pid: number } {
  const child = spawn(...tied('sh', ['-c', 'while :; do :; done']), { stdio: 'ignore' });
  children.push(child);
  return child as ChildProcess & { pid: number };
}

/** Processor time used in a group, in seconds, as a node reads it. */
function used(path: string): number {
  return readCpu({ kind: 'cgroup', path })?.usedSeconds ?? Number.NaN;
}

describePrivileged('a control group for processors', ['root', 'cgroups'], () => {
  it('gives a server so much of one, counts it, and is gone with the process it is kept for', async () => {
    const keeper = CpuGroupKeeper.make();
    const server = CpuGroup.at(keeper.path).makeBelow('s1', 0.25);
    const child = worker();
    server.take(child.pid);
    keeper.guard(child.pid);
    expect(readCpu({ kind: 'cgroup', path: server.path })?.limit).toBe(0.25);
    server.limit(0.125);
    expect(readCpu({ kind: 'cgroup', path: server.path })?.limit).toBe(0.125);
    await until(() => used(server.path) > 0.1);

    child.kill('SIGKILL');
    await keeper.gone();
    expect([...keeper.directories, ...server.directories].filter(existsSync)).toEqual([]);
  });

  it('is removed at the next start, when nobody was left to do it, and not while anybody is in it', async () => {
    const dead = worker();
    dead.kill('SIGKILL');
    await until(() => dead.signalCode !== null);
    const name = `twohop-${dead.pid}-test`;
    const stale = CpuGroup.make(`/${name}`);
    const server = stale.makeBelow('s1', 0.1);
    const child = worker();
    server.take(child.pid);

    remove(CpuGroupKeeper.make());
    expect(groupsNamed('twohop-')).toContain(name);
    child.kill('SIGKILL');
    await until(() => processesIn(server).length === 0);
    remove(CpuGroupKeeper.make());
    expect(groupsNamed('twohop-')).not.toContain(name);
  });
});

function remove(keeper: CpuGroupKeeper): void {
  CpuGroup.at(keeper.path).remove();
}

function processesIn({ directories }: CpuGroup): string[] {
  return directories.flatMap((directory) =>
    readFileSync(join(directory, 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
}
