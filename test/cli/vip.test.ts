import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { vipCommand } from '../../src/cli/vip.js';
import { readVips } from '../../src/store/vips.js';
import { ControlRoom } from './control-room.js';
import { runCommand } from './run.js';

let room: ControlRoom;

afterEach(() => room.end());

const vip = (...words: string[]) => runCommand(vipCommand(), [...words, '--config', room.config]);
const ranges = async () => (await readVips(room.store, 'web')).ranges;

describe('twohop vip', () => {
  it('add and remove end when every node serves the ranges', async () => {
    room = await ControlRoom.open();
    const added = await vip('add', 'web', '198.51.100.0/24', '2001:db8:1::/64');
    expect(added.code).toBe(0);
    expect(added.out).toMatch(/^web: added 198\.51\.100\.0\/24, 2001:db8:1::\/64$/m);
    expect(added.out).toMatch(/version 1, 2 ranges beside cluster.yaml; 4 of 4 nodes serve it/);
    expect([...room.nodes.values()].map(({ vips }) => vips.web)).toEqual([1, 1, 1, 1]);
    const removed = await vip('remove', 'web', '198.51.100.0/24', '203.0.113.0/24');
    expect(removed.out).toMatch(/^web: removed 198\.51\.100\.0\/24$/m);
    expect(removed.out).toMatch(/^web: not there: 203\.0\.113\.0\/24$/m);
    expect(await ranges()).toEqual(['2001:db8:1::/64']);
  });

  it('reads ranges from a file, and lists them beside those of cluster.yaml', async () => {
    room = await ControlRoom.open();
    const file = join(dirname(room.config), 'ranges.txt');
    writeFileSync(file, '# new ones\n198.51.100.0/25\n\n198.51.100.128/25 # the other half\n');
    await vip('add', 'web', '--from', file);
    expect((await vip('list')).out.trimEnd().split('\n')).toEqual([
      'web 192.0.2.0/24 cluster.yaml',
      'web 198.51.100.0/25 version 1',
      'web 198.51.100.128/25 version 1',
    ]);
    expect(JSON.parse((await vip('list', 'web', '--json')).out)).toEqual([
      {
        trafficset: 'web',
        version: 1,
        cluster: ['192.0.2.0/24'],
        store: ['198.51.100.0/25', '198.51.100.128/25'],
      },
    ]);
  });

  it('ends with 1 when a node does not follow in time, and says which', async () => {
    room = await ControlRoom.open();
    room.standStill('s3');
    const { code, out } = await vip('add', 'web', '198.51.100.0/24', '--timeout', '1');
    expect(code).toBe(1);
    expect(out).toMatch(/3 of 4 nodes serve it, not yet: s3/);
    expect(await ranges()).toEqual(['198.51.100.0/24']);
  });

  it('does not wait when asked not to, nor for nodes when there are none', async () => {
    room = ControlRoom.make();
    const alone = await vip('add', 'web', '198.51.100.0/24');
    expect([alone.code, alone.out]).toEqual([0, expect.stringMatching(/1 range .*; no node is there/)]);
    await room.startNode('s1');
    room.standStill('s1');
    expect((await vip('remove', 'web', '198.51.100.0/24', '--no-wait')).code).toBe(0);
    expect(await ranges()).toEqual([]);
  });

  it.each([
    ['a range that covers a DIP', ['add', 'web', '10.0.1.0/30'], 1, /covers the DIP of server s1/],
    ['another trafficset', ['add', 'mail', '198.51.100.0/24'], 1, /no trafficset mail: there are web/],
    ['bits behind the prefix', ['add', 'web', '198.51.100.1/24'], 2, /198\.51\.100\.1\/24/],
    ['nothing to add', ['add', 'web'], 2, /give ranges, or a file with --from/],
    ['a range of cluster.yaml', ['remove', 'web', '192.0.2.0/24'], 1, /is a range of cluster.yaml/],
  ])('refuses %s', async (_what, words, code, message) => {
    room = await ControlRoom.open();
    const refused = await vip(...words);
    expect(refused.err).toMatch(message);
    expect(refused.code).toBe(code);
    expect(await ranges()).toEqual([]);
  });
});
