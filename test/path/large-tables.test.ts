import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters, Stage } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { type PathConfig, PathState } from '../../src/path/state.js';
import { Verdict } from '../../src/path/verdict.js';
import { SocketSet } from '../bench/socket-set.js';
import { oddPackets } from '../bench/twin-check.js';
import { BYSTANDER, buildTable, pathConfig, SERVERS } from '../bench/workload.js';

/** With large tables rows and VIPs are fetched for a batch together; nothing else may be different. */

const BUCKETS = 131_072;
const MAX_PACKET = 2048;
const PACKETS = 20_000;

function largeConfig(dip: number): PathConfig {
  const config = pathConfig(dip);
  return {
    ...config,
    trafficsets: config.trafficsets.map((trafficset, index) => ({
      ...trafficset,
      table: buildTable(trafficset.name, 1, index + 1, BUCKETS).shared(),
    })),
  };
}

/** What becomes of the packets, in batches of 64. @param fetches whether tables are taken for large */
function outcomes(config: PathConfig, stage: Stage, dip: number, fetches: boolean) {
  const state = new PathState(config);
  for (const trafficset of state.trafficsets) {
    expect(trafficset.isLarge).toBe(1);
    trafficset.isLarge = fetches ? 1 : 0;
  }
  Object.assign(state.vips, { isLarge: fetches ? 1 : 0 });
  const { packets, sockets } = oddPackets(dip, stage, PACKETS);
  const counters = new PathCounters(state.trafficsets.length);
  const lookup = new SocketSet(sockets);
  const stages = [new Forwarder(state, counters, lookup, 64), new Redirector(state, counters, lookup, 64)];
  const batch = new PacketBatch({ maxPacket: MAX_PACKET });
  const found: string[] = [];
  const verdicts = new Set<number>();
  for (let at = 0; at < packets.length; at += 64) {
    batch.clear();
    for (const packet of packets.slice(at, at + 64)) batch.push(packet);
    stages[stage].process(batch);
    for (let i = 0; i < batch.count; i++) {
      const { verdict, action, trafficset, nextHop } = batch;
      const bytes = Buffer.from(batch.packet(i)).toString('hex');
      found.push(`${verdict[i]} ${action[i]} ${trafficset[i]} ${nextHop[i]} ${bytes}`);
      verdicts.add(verdict[i]);
    }
  }
  const counted: string[] = [];
  counters.forEach((...each) => {
    counted.push(each.join());
  });
  return { found, counted, verdicts };
}

describe('large tables', () => {
  it.each([
    ['a first hop', 'forward', SERVERS[0]],
    ['no first hop', 'forward', BYSTANDER],
    ['a first hop', 'redirect', SERVERS[0]],
  ] as const)('end packets as small ones do, at a server that is %s: %s', (_where, kind, dip) => {
    const stage = kind === 'forward' ? Stage.Forward : Stage.Redirect;
    const config = largeConfig(dip);
    const together = outcomes(config, stage, dip, true);
    const single = outcomes(config, stage, dip, false);
    expect(together.found).toEqual(single.found);
    expect(together.counted).toEqual(single.counted);
    expect(together.verdicts.size).toBeGreaterThan(8);
  });

  it('postpone packets in the forwarder, and judge those again that are for this server', () => {
    const { verdicts } = outcomes(largeConfig(SERVERS[0]), Stage.Forward, SERVERS[0], true);
    for (const verdict of [Verdict.Forward, Verdict.AcceptEstablished, Verdict.AcceptSyn, Verdict.Redirect]) {
      expect(verdicts).toContain(verdict);
    }
  });
});
