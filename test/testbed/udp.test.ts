import { expect, it } from 'vitest';
import type { ScenarioResult } from '../../src/testbed/scenarios/scenario.js';
import { describePrivileged } from '../privileged.js';
import { processesWith, twohop } from './support.js';

const NEEDS = ['root', 'tun', 'namespaces', 'ip', 'tc', 'ss', 'nsd', 'dnsperf', 'dig', 'socat'];
const STEPS = ['dns', 'dns-drain', 'flows', 'fragments'];

describePrivileged('twohop demo udp', NEEDS, () => {
  it('holds in every step', async () => {
    const { code, stdout, stderr } = await twohop(['demo', 'udp', '--json', '--servers', '3']);
    const { steps }: { readonly steps: ScenarioResult[] } = JSON.parse(stdout);
    expect(steps.flatMap(({ name, reasons }) => reasons.map((reason) => `${name}: ${reason}`))).toEqual([]);
    expect(steps.map(({ name }) => name)).toEqual(STEPS);
    expect(code, stderr).toBe(0);
    const [dns, drain, flows, fragments] = steps.map(({ figures }) => figures);
    expect(dns).toMatchObject({ lost: 0 });
    expect(drain).toMatchObject({ lostIpv4: 0, lostIpv6: 0, without: { s2: 0 } });
    const stays = { movedByDrain: 0, movedBySwap: 0, movedByReturn: 0, beganAnew: 0, newAstray: 0 };
    expect(flows).toMatchObject({
      'flows-node': stays,
      'flows-socat': stays,
      // As many as were in the buckets that changed.
      'flows-unconnected': { movedByDrain: 8, movedBySwap: 16, movedByReturn: 8, newAstray: 0 },
    });
    expect(fragments).toMatchObject({ unanswered: 0, damaged: 0, moved: 0, astray: 0, lost: 0, dropped: 0 });
    expect(processesWith('"suite":"udp"')).toEqual([]);
  }, 240_000);
});
