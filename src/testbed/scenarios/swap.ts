import { parseIpv4 } from '../../table/address.js';
import { swapHops } from '../../table/edit.js';
import { ForwardingTable } from '../../table/forwarding-table.js';
import { dipOf } from '../addresses.js';
import { since } from '../counters.js';
import {
  allMove,
  brokenOf,
  finishAll,
  holdOpen,
  listed,
  openNew,
  sampleOf,
  startLoad,
  stopLoad,
  tally,
} from './connections.js';
import { countPackets } from './packets.js';
import { Judgement, type Scenario } from './scenario.js';

const CONNECTIONS = 60;
const NEW = 100;
const LOAD_PER_SECOND = 20;
const FRACTION = 0.5;

/** First and second hop of half of the buckets change places, as when load is balanced: a swap breaks nothing. */
export const swap: Scenario = {
  name: 'swap',
  title: 'Swap: hops exchanged in half of the buckets, under load',
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const full = fleet.table;
    const paired = withSecondHops(full, dataCenter.spec.servers);
    await fleet.publish(paired);
    const held = await holdOpen(dataCenter, CONNECTIONS);
    await startLoad(dataCenter, LOAD_PER_SECOND);
    const before = await countPackets(fleet);

    await fleet.publish(swapHops(paired, FRACTION));
    await allMove(dataCenter);
    const attempts = await openNew(dataCenter, NEW);
    const broken = brokenOf(await finishAll(dataCenter));
    const load = await stopLoad(dataCenter);
    const packets = since(before, await countPackets(fleet));
    await fleet.restore(full);

    const failed = [...load.failures, ...attempts.filter(({ error }) => error !== null)];
    const servers = tally(attempts.flatMap(({ server }) => server ?? []));
    const judgement = new Judgement();
    judgement.expect(broken.length === 0, `${broken.length} broke: ${sampleOf(broken)}`);
    judgement.expect(failed.length === 0, `${failed.length} new connections failed: ${sampleOf(failed)}`);
    judgement.expect(packets.redirected > 0, 'no packet took the second hop');
    return judgement.finding(
      [
        `${FRACTION * paired.bucketCount} of ${paired.bucketCount} buckets swapped; ${held.length} connections: ${broken.length} broken`,
        `${load.attempts} new ones meanwhile and ${NEW} after (${listed(servers)}): ${failed.length} failed`,
        `${packets.redirected} packets took the second hop`,
      ],
      {
        connections: held.length,
        buckets: FRACTION * paired.bucketCount,
        broken: broken.length,
        newConnections: load.attempts + attempts.length,
        newFailed: failed.length,
        redirected: packets.redirected,
      },
    );
  },
};

/** The same first hops, and behind each the next server as second hop. */
function withSecondHops(table: ForwardingTable, servers: number): ForwardingTable {
  const dips = Array.from({ length: servers }, (_, index) => parseIpv4(dipOf(index + 1)));
  const slots = Uint32Array.from(table.slots);
  for (let bucket = 0; bucket < table.bucketCount; bucket++) {
    const position = dips.indexOf(slots[2 * bucket]);
    slots[2 * bucket + 1] = dips[(position + 1 + (bucket % (servers - 1))) % servers];
  }
  return new ForwardingTable({
    trafficset: table.trafficset,
    version: table.version + 1,
    hashKey: table.hashKey,
    slots,
  });
}
