import { expect, it } from 'vitest';
import { describePrivileged } from '../privileged.js';
import { demoSteps, SETTINGS } from './support.js';

const NEEDS = ['root', 'tun', 'namespaces', 'ip', 'tc', 'ss', 'nsd', 'dnsperf', 'dig', 'socat'];
const STEPS = ['dns', 'dns-drain', 'flows', 'fragments'];

describePrivileged('twohop demo udp', NEEDS, () => {
  it.each(SETTINGS)(
    'holds in every step: %s %s %s %s',
    async (...settings) => {
      const figures = await demoSteps('udp', 3, STEPS, ...settings);
      expect(figures.dns).toMatchObject({ lost: 0 });
      expect(figures['dns-drain']).toMatchObject({ lostIpv4: 0, lostIpv6: 0, without: { s2: 0 } });
      const stays = { movedByDrain: 0, movedBySwap: 0, movedByReturn: 0, beganAnew: 0, newAstray: 0 };
      expect(figures.flows).toMatchObject({
        'flows-node': stays,
        'flows-socat': stays,
        // As many as were in the buckets that changed.
        'flows-unconnected': { movedByDrain: 8, movedBySwap: 16, movedByReturn: 8, newAstray: 0 },
      });
      expect(figures.fragments).toMatchObject({
        unanswered: 0,
        damaged: 0,
        moved: 0,
        astray: 0,
        lost: 0,
        dropped: 0,
      });
    },
    240_000,
  );
});
