import { parseIpv4 } from '../../../table/address.js';
import { drain } from '../../../table/edit.js';
import { IPV4_HEADER } from '../../../wire/ipv4.js';
import { UDP_HEADER } from '../../../wire/udp.js';
import { dipOf, FAMILIES, serverName } from '../../addresses.js';
import { since } from '../../counters.js';
import type { Fleet } from '../../fleet.js';
import { THOROUGH } from '../../flow-services.js';
import { dnsVip } from '../../name-server.js';
import { CLIENT_MTU } from '../../network.js';
import { Judgement, type Scenario } from '../scenario.js';
import { askAll } from './dnsperf.js';
import {
  beganAnew,
  FlowHolder,
  type HeldFlow,
  hasMoved,
  SMALL,
  unanswered,
  wentAstray,
  withDue,
} from './flows-held.js';

const DRAINED = 1;
const DIP = parseIpv4(dipOf(DRAINED));
/** Flows in buckets of the server that leaves, and as many in others. */
const FLOWS = 4;
/** Bytes of datagrams: three and six fragments. */
const SIZES = [3000, 8000];
/** Of the first datagram of a flow. */
const FIRST_SIZE = 5000;
const DNS_PADDING = 3000;
/**
 * Datagrams longer than the client's link carries. Only the first fragment has ports, but all of them have to come to
 * the server that has the flow.
 */
export const fragments: Scenario = {
  name: 'fragments',
  title: `Fragments: datagrams of up to ${SIZES.at(-1)} bytes over links of ${CLIENT_MTU}, while ${serverName(DRAINED)} leaves`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const { clients } = dataCenter.sites;
    const holder = new FlowHolder(dataCenter);
    const full = fleet.tableOf(THOROUGH.trafficset);
    const isLeft = (bucket: number): boolean => full.firstHop(bucket) === DIP;
    const openBoth = (bytes: number): Promise<HeldFlow[]> =>
      holder.openBoth(THOROUGH, { count: FLOWS, inBucket: isLeft, bytes });
    const before = await countPackets(fleet);

    const old = await openBoth(SMALL);
    const table = drain(full, DIP, { keepSecondHop: true, roles: 'udp' });
    await fleet.publish(table);
    const asked = [];
    let flows: HeldFlow[] = old;
    for (const bytes of SIZES) {
      const answered = await holder.ask(flows, bytes);
      asked.push(...answered);
      flows = answered;
    }
    const fresh = withDue(table, await openBoth(FIRST_SIZE));
    await holder.close([...flows, ...fresh]);
    await fleet.restore(full);
    const queries = await Promise.all(
      FAMILIES.map((family, index) =>
        askAll({ client: clients[index], address: dnsVip(family), padding: DNS_PADDING }),
      ),
    );
    const packets = since(before, await countPackets(fleet));

    const all = [...asked, ...fresh];
    const silent = unanswered(all).length;
    const damaged = all.filter(({ answer }) => answer.server !== null && !answer.intact).length;
    const moved = asked.filter((flow) => hasMoved(flow) || beganAnew(flow)).length;
    const astray = fresh.filter(wentAstray).length;
    const sent = queries.reduce((sum, report) => sum + report.sent, 0);
    const lost = queries.reduce((sum, report) => sum + report.sent - report.answered, 0);
    const perQuery = fragmentsOf(DNS_PADDING);
    const perSize = [...SIZES, FIRST_SIZE].map((bytes) => 2 * FLOWS * fragmentsOf(bytes));
    const atLeast = perSize.reduce((sum, one) => sum + one, perQuery * sent);

    const judgement = new Judgement();
    judgement.expect(silent === 0, `${silent} of ${all.length} datagrams were not answered`);
    judgement.expect(damaged === 0, `${damaged} datagrams did not arrive as they were sent`);
    judgement.expect(moved === 0, `${moved} datagrams came to another server or socket than their flow's`);
    judgement.expect(astray === 0, `${astray} flows that began with fragments went elsewhere`);
    judgement.expect(lost === 0, `${lost} of ${sent} long queries were not answered`);
    judgement.expect(packets.dropped === 0, `nodes dropped ${packets.dropped} fragments`);
    judgement.expect(
      packets.entered >= atLeast,
      `only ${packets.entered} packets came: less than ${atLeast} fragments; this shows nothing`,
    );
    judgement.expect(
      packets.redirected >= FLOWS * fragmentsOf(FIRST_SIZE),
      `only ${packets.redirected} packets took the second hop`,
    );
    return judgement.finding(
      [
        `${asked.length} datagrams of ${SIZES.join(' and ')} bytes in flows that were there: ${moved} elsewhere, ${damaged} damaged`,
        `${fresh.length} flows begun with ${FIRST_SIZE} bytes: ${fresh.length - astray} where the table wants them`,
        `${sent} DNS queries of more than ${DNS_PADDING} bytes: ${lost} lost`,
        `${packets.entered} packets: ${packets.dropped} fragments dropped, ${packets.redirected} took the second hop`,
      ],
      {
        datagrams: all.length,
        unanswered: silent,
        damaged,
        moved,
        newFlows: fresh.length,
        astray,
        queries: sent,
        lost,
        ...packets,
      },
    );
  },
};

/** How many fragments a datagram becomes, at least: those of IPv4, whose headers are the shorter ones. */
function fragmentsOf(bytes: number): number {
  const room = CLIENT_MTU - IPV4_HEADER;
  return Math.ceil((bytes + UDP_HEADER) / room);
}

interface Packets {
  /** Came from the router. */
  readonly entered: number;
  readonly redirected: number;
  /** Fragments. */
  readonly dropped: number;
}

async function countPackets(fleet: Fleet): Promise<Packets> {
  const metrics = await fleet.allMetrics();
  const count = (labels: Record<string, string>): number => metrics.sum('twohop_packets_total', labels);
  return {
    entered:
      count({ stage: 'forward', trafficset: 'dns' }) +
      count({ stage: 'forward', trafficset: THOROUGH.trafficset }),
    redirected: count({ verdict: 'redirect', trafficset: THOROUGH.trafficset }),
    dropped: count({ verdict: 'drop_fragment' }) + count({ verdict: 'drop_fragment_unknown' }),
  };
}
