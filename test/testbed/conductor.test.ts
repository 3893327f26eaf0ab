import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { groupsNamed } from '../../src/testbed/control/cpu-group.js';
import { describePrivileged } from '../privileged.js';
import { demoSteps } from './support.js';

const NEEDS = ['root', 'tun', 'namespaces', 'cgroups', 'ip', 'tc', 'curl', 'etcd', 'prometheus', 'bird'];
const STEPS = ['membership', 'vips', 'health', 'slow', 'takeover', 'wide'];

let directory = '';
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describePrivileged('twohop demo conductor', NEEDS, () => {
  // Its limits are seconds, and it needs four minutes in which nothing else takes the processors from it.
  it.runIf(process.env.TWOHOP_LONG === '1')(
    'holds in every step, draws the load, leaves no control group (only with TWOHOP_LONG=1, on a quiet machine)',
    async () => {
      directory = mkdtempSync(join(tmpdir(), 'twohop-conductor-'));
      const chart = join(directory, 'load.svg');
      const figures = await demoSteps('conductor', 4, STEPS, '--chart', chart);
      for (const step of STEPS) expect(figures[step].connections).toBeGreaterThanOrEqual(200);
      expect(figures.membership).toMatchObject({ broken: 0 });
      expect(figures.health).toMatchObject({ brokenElsewhere: 0 });
      expect(figures.slow).toMatchObject({ broken: 0 });
      expect(figures.slow.deviationSlowed).toBeGreaterThan(0.1);
      expect(figures.slow.deviationAfter).toBeLessThanOrEqual(0.05);
      expect(figures.takeover).toMatchObject({ broken: 0, bucketsChanged: 0 });
      expect(figures.wide).toMatchObject({
        broken: 0,
        bucketsChangedByHealth: 0,
        bucketsChangedByRestart: 0,
      });
      expect(readFileSync(chart, 'utf8')).toContain('s1 slowed down');
      expect(readdirSync(directory)).toEqual(['load.svg']);
      expect(groupsNamed('twohop-').filter((name) => !existsSync(`/proc/${name.split('-')[1]}`))).toEqual([]);
    },
    480_000,
  );
});
