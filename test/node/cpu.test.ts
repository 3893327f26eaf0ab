import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CpuMeter, type CpuReading, parseCpuSource, readCpu } from '../../src/node/cpu.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'twohop-cpu-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const CGROUP = { kind: 'cgroup', path: '/twohop/s1' } as const;

describe('the CPU of a server', () => {
  it('is named by its source', () => {
    expect(parseCpuSource('machine')).toEqual({ kind: 'machine' });
    expect(parseCpuSource('none')).toEqual({ kind: 'none' });
    expect(parseCpuSource('cgroup:/twohop/s1')).toEqual(CGROUP);
    for (const wrong of ['', 'cpu', 'cgroup:', 'cgroup:s1', 'cgroup:/', 'cgroup:/../x', 'cgroup:/a b']) {
      expect(parseCpuSource(wrong), wrong).toBeUndefined();
    }
  });

  it('is read of the whole machine: all but idle and waiting, over all CPUs', () => {
    file(
      'proc/stat',
      'cpu  100 20 30 1000 500 6 4 40 70 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n',
    );
    expect(readCpu({ kind: 'machine' }, root)).toEqual({ usedSeconds: 2, limit: 2 });
  });

  it('is read of a cgroup v2, against its quota', () => {
    file('sys/fs/cgroup/twohop/s1/cpu.stat', 'usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n');
    file('sys/fs/cgroup/twohop/s1/cpu.max', '25000 100000\n');
    expect(readCpu(CGROUP, root)).toEqual({ usedSeconds: 2.5, limit: 0.25 });
    file('sys/fs/cgroup/twohop/s1/cpu.max', 'max 100000\n');
    expect(readCpu(CGROUP, root)?.limit).toBe(availableParallelism());
  });

  it.each([
    ['cpuacct', 'cpu'],
    ['cpu,cpuacct', 'cpu,cpuacct'],
  ])('is read of a cgroup v1 with the controllers %s and %s', (accounts, quotas) => {
    file(`sys/fs/cgroup/${accounts}/twohop/s1/cpuacct.usage`, '1500000000\n');
    file(`sys/fs/cgroup/${quotas}/twohop/s1/cpu.cfs_quota_us`, '50000\n');
    file(`sys/fs/cgroup/${quotas}/twohop/s1/cpu.cfs_period_us`, '100000\n');
    expect(readCpu(CGROUP, root)).toEqual({ usedSeconds: 1.5, limit: 0.5 });
    file(`sys/fs/cgroup/${quotas}/twohop/s1/cpu.cfs_quota_us`, '-1\n');
    expect(readCpu(CGROUP, root)?.limit).toBe(availableParallelism());
  });

  it('is not known where there is nothing to read', () => {
    expect(readCpu(CGROUP, root)).toBeNull();
    expect(readCpu({ kind: 'machine' }, root)).toBeNull();
    expect(readCpu({ kind: 'none' }, '/')).toBeNull();
  });

  it('is read of this machine', () => {
    const reading = readCpu({ kind: 'machine' });
    expect(reading?.usedSeconds).toBeGreaterThan(0);
    expect(reading?.limit).toBeGreaterThan(0);
  });

  it('in use is the share between two looks, of what the server has', () => {
    let now = 0;
    let reading: CpuReading | null = { usedSeconds: 100, limit: 0.5 };
    const meter = new CpuMeter(
      () => reading,
      () => now,
    );
    meter.tick();
    expect(meter.ratio).toBeNull();
    const later = (milliseconds: number, next: CpuReading | null) => {
      now += milliseconds;
      reading = next;
      meter.tick();
      return meter.ratio;
    };
    expect(later(1000, { usedSeconds: 100.25, limit: 0.5 })).toBeCloseTo(0.5);
    expect(later(2000, { usedSeconds: 101.25, limit: 0.5 })).toBeCloseTo(1);
    // A burst, and a cgroup that begins anew.
    expect(later(1000, { usedSeconds: 103, limit: 0.5 })).toBe(1);
    expect(later(1000, { usedSeconds: 0, limit: 0.5 })).toBe(0);
    expect(later(1000, null)).toBeNull();
    expect(later(1000, { usedSeconds: 1, limit: 1 })).toBeNull();
    expect(later(1000, { usedSeconds: 1.1, limit: 1 })).toBeCloseTo(0.1);
  });
});
