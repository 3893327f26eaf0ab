import { expect, it } from 'vitest';
import { describePrivileged } from '../privileged.js';
import { demoSteps, mountsOfThisProcess, startTwohop, twohop, until } from './support.js';

const STEPS = ['spread', 'drain', 'rehash', 'swap', 'crash', 'pmtud', 'comparison'];

describePrivileged('twohop demo', ['root', 'tun', 'namespaces', 'ip', 'tc', 'curl'], () => {
  it.each([
    ['closed', 'off', 1],
    ['closed', 'auto', 2],
    ['open', 'auto', 1],
    ['open', 'off', 2],
  ])(
    'holds in every step, failing %s, offload %s, workers %i',
    async (mode, offload, workers) => {
      const settings = ['--failure-mode', mode, '--offload', offload, '--workers', String(workers)];
      await demoSteps('web', 4, STEPS, ...settings);
    },
    180_000,
  );

  it.each(['SIGINT', 'SIGKILL'] as const)('leaves nothing on %s in the middle', async (signal) => {
    const mounts = mountsOfThisProcess();
    const demo = startTwohop('demo', '--servers', '3');
    await until(() => demo.printed().includes('Spread'));
    expect(demo.processes().length).toBeGreaterThan(3);
    demo.child.kill(signal);
    expect((await demo.ended).code).toBe(signal === 'SIGKILL' ? null : 1);
    await until(() => demo.processes().length === 0);
    expect(mountsOfThisProcess()).toBe(mounts);
  });

  it('keeps the data center up on request', async () => {
    const demo = startTwohop('demo', '--servers', '2', '--keep');
    demo.child.stdin.end();
    const { code, stderr } = await demo.ended;
    try {
      expect(code, stderr).toBe(0);
      expect(stderr).toContain('twohop testbed down');
      expect(demo.processes().length).toBeGreaterThan(2);
      const curl = await twohop(['testbed', 'exec', 'c1', '--', 'curl', '-sS', 'http://192.0.2.1/']);
      expect(curl.stdout).toMatch(/^s[12]\n$/);
    } finally {
      await twohop(['testbed', 'down']);
    }
    expect(demo.processes()).toEqual([]);
  }, 120_000);
});
