import { clientName, type Family } from '../addresses.js';
import { since } from '../counters.js';
import type { DataCenter } from '../data-center.js';
import { CLIENT_MTU } from '../network.js';
import { brokenOf, finishAll, holdOpen, sampleOf } from './connections.js';
import { countPackets } from './packets.js';
import { pathMtu } from './path-mtu.js';
import { Judgement, type Scenario } from './scenario.js';

const CONNECTIONS = 60;
const NARROW_MTU = 1300;
/** The client behind the access router. */
export const NARROW_CLIENT = 2;

/**
 * A link on the way to a client becomes narrow in the middle of transfers. The router's errors go to the VIP, and so
 * to any server; they have to find the one whose packets they quote.
 */
export const pmtud: Scenario = {
  name: 'pmtud',
  title: `Path MTU: the link to ${clientName(NARROW_CLIENT)} shrinks to ${NARROW_MTU} bytes`,
  async run(dataCenter) {
    const { network } = dataCenter;
    const fleet = dataCenter.requireFleet();
    const held = await holdOpen(dataCenter, CONNECTIONS);
    const before = await countPackets(fleet);

    await network.setAccessMtu(NARROW_CLIENT, NARROW_MTU);
    const outcomes = await finishAll(dataCenter);
    const learned = { 4: await whoLearned(dataCenter, 4), 6: await whoLearned(dataCenter, 6) };
    await network.setAccessMtu(NARROW_CLIENT, CLIENT_MTU);

    const packets = since(before, await countPackets(fleet));
    const broken = brokenOf(outcomes);
    const judgement = new Judgement();
    judgement.expect(broken.length === 0, `${broken.length} broke: ${sampleOf(broken)}`);
    judgement.expect(learned[4].length > 0, 'no server learned the path MTU of IPv4');
    judgement.expect(learned[6].length > 0, 'no server learned the path MTU of IPv6');
    judgement.expect(packets.icmpForwarded > 0, 'no ICMP error was forwarded');
    judgement.expect(packets.icmpAccepted > 0, 'no ICMP error was taken in by the owner of its flow');
    return judgement.finding(
      [
        `${held.length} transfers and connections: ${broken.length} broken`,
        `${packets.icmpForwarded} ICMP errors entered elsewhere and were forwarded; owners took in ${packets.icmpAccepted}`,
        `learned by ${learned[4].join(', ')} over IPv4, by ${learned[6].join(', ')} over IPv6`,
      ],
      {
        connections: held.length,
        broken: broken.length,
        icmpForwarded: packets.icmpForwarded,
        icmpAccepted: packets.icmpAccepted,
        learnedIpv4: learned[4],
        learnedIpv6: learned[6],
      },
    );
  },
};

/** The servers whose kernels now know the narrow MTU of the path to the client. */
async function whoLearned(dataCenter: DataCenter, family: Family): Promise<string[]> {
  const names = dataCenter.sites.servers.map(({ name }) => name);
  const known = await Promise.all(names.map((name) => pathMtu(name, NARROW_CLIENT, family)));
  return names.filter((_, index) => known[index] === NARROW_MTU);
}
