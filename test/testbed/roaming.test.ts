import { expect, it } from 'vitest';
import { describePrivileged } from '../privileged.js';
import { demoSteps, SETTINGS } from './support.js';

const NEEDS = [
  ...['root', 'tun', 'namespaces', 'ip', 'tc', 'curl', 'ping'],
  ...['nft', 'conntrack', 'wg', 'wireguard-go'],
];
const STEPS = ['tunnel', 'roam', 'drain', 'add', 'stock', 'pmtud', 'fragments', 'flood', 'comparison'];

describePrivileged('twohop demo roaming', NEEDS, () => {
  it.each(SETTINGS)(
    'holds in every step: %s %s %s %s',
    async (...settings) => {
      const figures = await demoSteps('roaming', 4, STEPS, ...settings);
      const unharmed = { broken: 0, downloadsBroken: 0, astray: 0 };
      expect(figures.tunnel).toMatchObject({
        tunnels: 20,
        servers: { s1: 5, s2: 5, s3: 5, s4: 5 },
        astray: 0,
      });
      expect(figures.roam).toMatchObject({ tunnels: 20, ...unharmed });
      expect(figures.roam.steps).toHaveLength(7);
      expect(figures.drain).toMatchObject({ sessions: 20, onDrained: 5, ...unharmed });
      expect(figures.add).toMatchObject({ sessions: 20, newcomerOn: 's4', ...unharmed });
      expect(figures.stock).toMatchObject({ servers: ['s1', 's2', 's3', 's4'], failed: 0, astray: 0 });
      expect(figures.pmtud).toMatchObject({ learned: ['IPv4: 1300', 'IPv6: 1300'], broken: 0 });
      expect(figures.fragments).toMatchObject({ failed: 0 });
      expect(figures.flood).toMatchObject({ sessions: 20, broken: 0, downloadsBroken: 0 });
      // Without the clientid most sessions break: a step leaves one on its server with a chance of one in four.
      expect(figures.comparison.broken).toBeGreaterThan(10);
      expect(figures.comparison.astray).toBeGreaterThan(0);
    },
    300_000,
  );
});
