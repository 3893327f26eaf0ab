import { since } from '../counters.js';
import { allMove, brokenOf, finishAll, holdOpen, openNew, progressOf, sampleOf } from './connections.js';
import { entriesOf } from './entries.js';
import { countPackets } from './packets.js';
import { Judgement, type Scenario } from './scenario.js';

const CONNECTIONS = 30;
const SEEDS = [7, 42, 1000];

/** The router changes its mind about every flow, several times, and nobody notices. */
export const rehash: Scenario = {
  name: 'rehash',
  title: 'Rehash: the router hashes anew, in another order of next hops',
  async run(dataCenter) {
    const { network } = dataCenter;
    const fleet = dataCenter.requireFleet();
    const original = network.ecmp;
    const held = await holdOpen(dataCenter, CONNECTIONS);
    const before = await countPackets(fleet);
    const entries = await entriesOf(network, held);

    const moved = new Set<string>();
    let failed = 0;
    for (const seed of SEEDS) {
      await network.rehash(seed);
      const now = await entriesOf(network, held);
      for (const [key, server] of now) if (entries.get(key) !== server) moved.add(key);
      await allMove(dataCenter);
      failed += (await openNew(dataCenter, CONNECTIONS)).filter(({ error }) => error !== null).length;
    }
    const early = (await progressOf(dataCenter)).filter(({ broken }) => broken !== null);
    const broken = brokenOf(await finishAll(dataCenter));
    const packets = since(before, await countPackets(fleet));
    await network.setEcmp(original);

    const judgement = new Judgement();
    judgement.expect(moved.size > 0, 'no connection entered at another server than before');
    judgement.expect(
      broken.length === 0,
      `${broken.length} broke (${early.length} at once): ${sampleOf(broken)}`,
    );
    judgement.expect(failed === 0, `${failed} new connections failed`);
    return judgement.finding(
      [
        `${SEEDS.length} changes; ${held.length} connections: ${broken.length} broken`,
        `${moved.size} of ${entries.size} over IPv4 entered at another server than before`,
        `${packets.forwarded} packets entered elsewhere and were forwarded`,
      ],
      {
        connections: held.length,
        changes: SEEDS.length,
        lookedUp: entries.size,
        moved: moved.size,
        broken: broken.length,
        newConnections: SEEDS.length * CONNECTIONS,
        newFailed: failed,
        forwarded: packets.forwarded,
      },
    );
  },
};
