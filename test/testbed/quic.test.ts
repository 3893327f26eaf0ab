import { expect, it } from 'vitest';
import type { ScenarioResult } from '../../src/testbed/scenarios/scenario.js';
import { describePrivileged } from '../privileged.js';
import { processesWith, twohop } from './support.js';

const NEEDS = [
  ...['root', 'tun', 'namespaces', 'ip', 'tc', 'nft', 'conntrack', 'gtlsclient', 'openssl'],
  'npm:@matrixai/quic-linux-x64',
];
const STEPS = ['handshakes', 'rebinding', 'migration', 'drain'];

describePrivileged('twohop demo quic', NEEDS, () => {
  it('holds in every step', async () => {
    const { code, stdout, stderr } = await twohop(['demo', 'quic', '--json', '--servers', '3']);
    const { steps }: { readonly steps: ScenarioResult[] } = JSON.parse(stdout);
    expect(steps.flatMap(({ name, reasons }) => reasons.map((reason) => `${name}: ${reason}`))).toEqual([]);
    expect(steps.map(({ name }) => name)).toEqual(STEPS);
    expect(code, stderr).toBe(0);
    const [handshakes, ...moves] = steps.map(({ figures }) => figures);
    expect(handshakes).toMatchObject({ connections: 48, broken: 0, astray: 0, strays: 0 });
    for (const figures of moves) {
      expect(figures).toMatchObject({ connections: 12, broken: 0, strays: 0 });
      expect(figures.brokenByTuple).toBeGreaterThan(0);
      expect(figures.straysByTuple).toBeGreaterThan(0);
    }
    expect(moves[0]).toMatchObject({ moved: 12 });
    expect(moves[1]).toMatchObject({ moved: 12 });
    expect(processesWith('"suite":"quic"')).toEqual([]);
  }, 240_000);
});
