import { expect, it } from 'vitest';
import { describePrivileged } from '../privileged.js';
import { demoSteps, SETTINGS } from './support.js';

const NEEDS = [
  ...['root', 'tun', 'namespaces', 'ip', 'tc', 'nft', 'conntrack', 'gtlsclient', 'openssl'],
  'npm:@matrixai/quic-linux-x64',
];
const STEPS = ['handshakes', 'rebinding', 'migration', 'drain'];

describePrivileged('twohop demo quic', NEEDS, () => {
  it.each(SETTINGS)(
    'holds in every step: %s %s %s %s',
    async (...settings) => {
      const figures = await demoSteps('quic', 3, STEPS, ...settings);
      expect(figures.handshakes).toMatchObject({ connections: 48, broken: 0, astray: 0, strays: 0 });
      for (const move of [figures.rebinding, figures.migration, figures.drain]) {
        expect(move).toMatchObject({ connections: 12, broken: 0, strays: 0 });
        expect(move.brokenByTuple).toBeGreaterThan(0);
        expect(move.straysByTuple).toBeGreaterThan(0);
      }
      expect(figures.rebinding).toMatchObject({ moved: 12 });
      expect(figures.migration).toMatchObject({ moved: 12 });
    },
    480_000,
  );
});
