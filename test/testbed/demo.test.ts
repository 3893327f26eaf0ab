import { expect, it } from 'vitest';
import type { ScenarioResult } from '../../src/testbed/scenarios/scenario.js';
import { describePrivileged } from '../privileged.js';
import { mountsOfThisProcess, processesWith, startTwohop, twohop, until } from './support.js';

const STEPS = ['spread', 'drain', 'rehash', 'swap', 'crash', 'pmtud', 'comparison'];
/** In the command line of every process in this demonstration's enclosure. */
const markerOf = (servers: number) => JSON.stringify({ servers, clients: 2, access: [2] }).slice(0, -1);

interface Report {
  readonly held: boolean;
  readonly steps: ScenarioResult[];
  readonly notRun: string[];
}

describePrivileged('twohop demo', ['root', 'tun', 'namespaces', 'ip', 'tc', 'curl'], () => {
  it.each(['closed', 'open'])(
    'holds in every step, failing %s',
    async (mode) => {
      const { code, stdout, stderr } = await twohop([
        'demo',
        '--json',
        '--servers',
        '4',
        '--failure-mode',
        mode,
      ]);
      const report: Report = JSON.parse(stdout);
      expect(
        report.steps.flatMap(({ name, reasons }) => reasons.map((reason) => `${name}: ${reason}`)),
      ).toEqual([]);
      expect(report.steps.map(({ name }) => name)).toEqual(STEPS);
      expect(report).toMatchObject({ held: true, notRun: [] });
      expect(code, stderr).toBe(0);
      // Plain lines in a pipe: no cursor movements, one line per step.
      expect(stderr.trim().split('\n').length).toBe(STEPS.length + 1);
      expect(processesWith(markerOf(4))).toEqual([]);
    },
    180_000,
  );

  it.each(['SIGINT', 'SIGKILL'] as const)('leaves nothing on %s in the middle', async (signal) => {
    const mounts = mountsOfThisProcess();
    const demo = startTwohop('demo', '--servers', '3');
    await until(() => demo.printed().includes('Spread'));
    expect(processesWith(markerOf(3)).length).toBeGreaterThan(0);
    demo.child.kill(signal);
    expect((await demo.ended).code).toBe(signal === 'SIGKILL' ? null : 1);
    await until(() => processesWith(markerOf(3)).length === 0);
    expect(mountsOfThisProcess()).toBe(mounts);
  });

  it('keeps the data center up on request', async () => {
    const demo = startTwohop('demo', '--servers', '2', '--keep');
    demo.child.stdin.end();
    const { code, stderr } = await demo.ended;
    try {
      expect(code, stderr).toBe(0);
      expect(stderr).toContain('twohop testbed down');
      const curl = await twohop(['testbed', 'exec', 'c1', '--', 'curl', '-sS', 'http://192.0.2.1/']);
      expect(curl.stdout).toMatch(/^s[12]\n$/);
    } finally {
      await twohop(['testbed', 'down']);
    }
    expect(processesWith(markerOf(2))).toEqual([]);
  }, 120_000);
});
