import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { monotonicMilliseconds } from '../io/clock.js';

/**
 * How busy the server is: the whole machine, or the cgroup that stands for a server (in a testbed, or where the
 * services have a part of the machine).
 */

export type CpuSource =
  | { readonly kind: 'machine' }
  /** @param path below the root of the cgroup hierarchy, with a leading slash */
  | { readonly kind: 'cgroup'; readonly path: string }
  | { readonly kind: 'none' };

export interface CpuReading {
  /** CPU time used since some moment, in seconds; only grows. */
  readonly usedSeconds: number;
  /** CPUs that it may use at the same time; may be a fraction. */
  readonly limit: number;
}

/** `machine`, `cgroup:/PATH` or `none`; undefined for anything else. */
export function parseCpuSource(text: string): CpuSource | undefined {
  if (text === 'machine' || text === 'none') return { kind: text };
  const path = /^cgroup:(\/[^\s]*[^\s/])$/.exec(text)?.[1];
  return path === undefined || path.split('/').includes('..') ? undefined : { kind: 'cgroup', path };
}

/** Ticks per second of `/proc/stat` (USER_HZ), the same on all architectures that Node runs on. */
const TICKS = 100;
const CPUS = availableParallelism();

/** @returns null where it cannot be read; @param root of the file system, for tests */
export function readCpu(source: CpuSource, root = '/'): CpuReading | null {
  if (source.kind === 'none') return null;
  if (source.kind === 'machine') return parseProcStat(read(root, 'proc/stat') ?? '');
  return readUnified(root, source.path) ?? readV1(root, source.path);
}

/** proc_stat(5): user nice system idle iowait irq softirq steal, in ticks; guest time is in user time already. */
function parseProcStat(text: string): CpuReading | null {
  const all = /^cpu +(.+)$/m.exec(text)?.[1]?.split(' ').map(Number);
  const limit = text.match(/^cpu\d+ /gm)?.length ?? 0;
  if (all === undefined || limit === 0 || all.length < 8) return null;
  const [user, nice, system, , , irq, softirq, steal] = all;
  return { usedSeconds: (user + nice + system + irq + softirq + steal) / TICKS, limit };
}

/** cgroup v2: `usage_usec` of cpu.stat, against `QUOTA PERIOD` of cpu.max. */
function readUnified(root: string, path: string): CpuReading | null {
  for (const mount of ['sys/fs/cgroup', 'sys/fs/cgroup/unified']) {
    const usage = /^usage_usec (\d+)$/m.exec(read(root, mount, path, 'cpu.stat') ?? '')?.[1];
    if (usage === undefined) continue;
    const [quota, period] = (read(root, mount, path, 'cpu.max') ?? 'max').trim().split(' ');
    return { usedSeconds: Number(usage) / 1e6, limit: limitOf(Number(quota), Number(period)) };
  }
  return null;
}

/** cgroup v1: the controllers cpuacct and cpu have hierarchies of their own, or one together. */
function readV1(root: string, path: string): CpuReading | null {
  const of = (controllers: readonly string[], file: string) => {
    for (const controller of controllers) {
      const text = read(root, 'sys/fs/cgroup', controller, path, file);
      if (text !== null) return Number(text);
    }
    return Number.NaN;
  };
  const usage = of(['cpuacct', 'cpu,cpuacct'], 'cpuacct.usage');
  if (Number.isNaN(usage)) return null;
  const controllers = ['cpu', 'cpu,cpuacct'];
  return {
    usedSeconds: usage / 1e9,
    limit: limitOf(of(controllers, 'cpu.cfs_quota_us'), of(controllers, 'cpu.cfs_period_us')),
  };
}

/** Without a quota it is the machine's. */
function limitOf(quota: number, period: number): number {
  return quota > 0 && period > 0 ? quota / period : CPUS;
}

function read(...parts: string[]): string | null {
  try {
    return readFileSync(join(...parts), 'utf8');
  } catch {
    return null;
  }
}

/** The share of the CPU in use between the last two looks. */
export class CpuMeter {
  private before: { readonly reading: CpuReading; readonly at: number } | null = null;
  private share: number | null = null;

  /** @param clock milliseconds, never going back */
  constructor(
    private readonly look: () => CpuReading | null,
    private readonly clock: () => number = monotonicMilliseconds,
  ) {}

  /** 0 to 1, of what the server has; null before the second look, and where nothing can be read. */
  get ratio(): number | null {
    return this.share;
  }

  /** As of now. */
  reading(): CpuReading | null {
    return this.look();
  }

  /** To be called about every second. */
  tick(): void {
    const reading = this.look();
    const at = this.clock();
    if (reading === null) {
      this.before = null;
      this.share = null;
      return;
    }
    const { before } = this;
    this.before = { reading, at };
    if (before === null || at <= before.at) return;
    const available = ((at - before.at) / 1000) * reading.limit;
    const used = reading.usedSeconds - before.reading.usedSeconds;
    // A quota lets a burst go past it, and a cgroup that was made anew begins at nothing.
    this.share = Math.min(1, Math.max(0, used / available));
  }
}
