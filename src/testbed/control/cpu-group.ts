import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, TestbedError } from '../errors.js';

/**
 * Shares of this machine's processors, one per server: control groups with a quota, so that a server is as fast as it
 * is told to be, and the kernel counts what it uses. Version 1 and version 2 of the kernel's interface (cgroups(7)).
 */

/** Quotas are handed out this often: often enough that a request is not held up for long. */
const PERIOD_US = 20_000;

/** Against whatever else wants the processors, the usual being 1024 and 100: the quota alone says how fast servers are. */
const SHARES = 100_000;
const WEIGHT = 9000;

/** Where the kernel shows control groups, outermost directory. */
interface Hierarchy {
  readonly version: 1 | 2;
  /** Of the quotas. */
  readonly quotas: string;
  /** Where usage is counted; may be the same. */
  readonly usage: string;
}

/** @throws {TestbedError} when there are no control groups for processors */
function findHierarchy(): Hierarchy {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const ofVersion1 = (controller: string) =>
    mounts.find(([, , type, options]) => type === 'cgroup' && options.split(',').includes(controller))?.[1];
  const quotas = ofVersion1('cpu');
  const usage = ofVersion1('cpuacct');
  if (quotas !== undefined && usage !== undefined) return { version: 1, quotas, usage };
  const unified = mounts.find(([, , type]) => type === 'cgroup2')?.[1];
  if (unified !== undefined && wordsOf(join(unified, 'cgroup.controllers')).includes('cpu')) {
    return { version: 2, quotas: unified, usage: unified };
  }
  throw new TestbedError('no control groups for processors are mounted here (see cgroups(7))');
}

/** The directories of a group, each named once. */
const directoriesOf = ({ quotas, usage }: Hierarchy, path: string): string[] => [
  ...new Set([join(quotas, path), join(usage, path)]),
];

/** A group, and below it one per server; its processes are those of the groups below. */
export class CpuGroup {
  private constructor(
    /** Below the directories where control groups are mounted, beginning with a slash. */
    readonly path: string,
    private readonly hierarchy: Hierarchy,
  ) {}

  /** One that exists. */
  static at(path: string): CpuGroup {
    return new CpuGroup(path, findHierarchy());
  }

  /** @throws {TestbedError} when it cannot be made here */
  static make(path: string): CpuGroup {
    const hierarchy = findHierarchy();
    const group = new CpuGroup(path, hierarchy);
    try {
      for (const directory of group.directories) mkdirSync(directory);
      const quotas = join(hierarchy.quotas, path);
      if (hierarchy.version === 2) {
        allowBelow(hierarchy.quotas);
        allowBelow(quotas);
        writeFileSync(join(quotas, 'cpu.weight'), String(WEIGHT));
      } else {
        writeFileSync(join(quotas, 'cpu.shares'), String(SHARES));
      }
    } catch (error) {
      group.remove();
      throw new TestbedError(
        `control group ${path} cannot be made: ${messageOf(error)}; servers of different speeds need it (in a container: one that is privileged)`,
      );
    }
    return group;
  }

  get directories(): string[] {
    return directoriesOf(this.hierarchy, this.path);
  }

  /** Makes a group below this one, with so much of one processor. */
  makeBelow(name: string, processors: number): CpuGroup {
    const group = new CpuGroup(join(this.path, name), this.hierarchy);
    for (const directory of group.directories) mkdirSync(directory);
    group.limit(processors);
    return group;
  }

  /** From now on its processes together have so much of one processor. */
  limit(processors: number): void {
    const directory = join(this.hierarchy.quotas, this.path);
    const quota = Math.round(processors * PERIOD_US);
    if (this.hierarchy.version === 2) {
      writeFileSync(join(directory, 'cpu.max'), `${quota} ${PERIOD_US}`);
    } else {
      writeFileSync(join(directory, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(directory, 'cpu.cfs_quota_us'), String(quota));
    }
  }

  /** Takes a process in, with all its threads. */
  take(pid: number): void {
    for (const directory of this.directories) writeFileSync(join(directory, 'cgroup.procs'), String(pid));
  }

  /** Removes it and those below, where no process is in them. @returns whether all are gone */
  remove(): boolean {
    return this.directories.map(removeTree).every((removed) => removed);
  }
}

/** Names of groups that begin so, outermost. */
export function groupsNamed(prefix: string): string[] {
  const { quotas, usage } = findHierarchy();
  const names = [quotas, usage].flatMap((directory) => readdirSync(directory));
  return [...new Set(names.filter((name) => name.startsWith(prefix)))];
}

/** Version 2: groups below this one may have quotas. */
function allowBelow(directory: string): void {
  if (!wordsOf(join(directory, 'cgroup.subtree_control')).includes('cpu')) {
    writeFileSync(join(directory, 'cgroup.subtree_control'), '+cpu');
  }
}

function removeTree(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) rmdirSync(join(directory, entry.name));
    }
    rmdirSync(directory);
    return true;
  } catch (error) {
    // EBUSY: somebody is in it. The rest of it stays then, too.
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

const wordsOf = (file: string): string[] => readFileSync(file, 'utf8').trim().split(/\s+/);
