import { parseIpv4 } from '../../../table/address.js';
import { addServer, clearSecondHops, drain, swapHops } from '../../../table/edit.js';
import { dipOf, serverName } from '../../addresses.js';
import type { DataCenter } from '../../data-center.js';
import { FLOW_SERVICES, type FlowService } from '../../flow-services.js';
import { Judgement, type Scenario } from '../scenario.js';
import {
  type Asked,
  beganAnew,
  FlowHolder,
  type Fresh,
  type HeldFlow,
  hasMoved,
  unanswered,
  wentAstray,
  withDue,
} from './flows-held.js';

const DRAINED = 1;
const DIP = parseIpv4(dipOf(DRAINED));
/** Flows of each service: in buckets of the server that leaves, and in others. */
const PER_KIND = 8;

/**
 * A server leaves and comes back with UDP's switched roles: flows without a socket on the first hop belong to the
 * second. Flows with a connected socket stay where they are, whichever of the hops that is; flows on an unconnected
 * one are nobody's, and move with every change.
 */
export const flows: Scenario = {
  name: 'flows',
  title: `Flows: ${serverName(DRAINED)} leaves and comes back, sockets connected or not`,
  async run(dataCenter) {
    const holder = new FlowHolder(dataCenter);
    const seen = await Promise.all(
      FLOW_SERVICES.map((service) => leaveAndComeBack(dataCenter, holder, service)),
    );
    const judgement = new Judgement();
    for (const one of seen) judge(judgement, one);
    return judgement.finding(
      seen.map(line),
      Object.fromEntries(seen.map((one) => [one.service.trafficset, figures(one)])),
    );
  },
};

interface Seen {
  readonly service: FlowService;
  /** The flows that were open when the table changed, asked again after it: by change. */
  readonly drained: readonly Asked[];
  readonly swapped: readonly Asked[];
  readonly added: readonly Asked[];
  /** New flows after the drain and after the return. */
  readonly fresh: readonly Fresh[];
}

async function leaveAndComeBack(
  dataCenter: DataCenter,
  holder: FlowHolder,
  service: FlowService,
): Promise<Seen> {
  const fleet = dataCenter.requireFleet();
  const full = fleet.tableOf(service.trafficset);
  const isLeft = (bucket: number): boolean => full.firstHop(bucket) === DIP;
  const openBoth = (inBucket: (bucket: number) => boolean): Promise<HeldFlow[]> =>
    holder.openBoth(service, { count: PER_KIND, inBucket });
  const old = await openBoth(isLeft);
  const leaving = drain(full, DIP, { keepSecondHop: true, roles: 'udp' });
  await fleet.publish(leaving);
  const drained = await holder.ask(old);
  const afterDrain = withDue(leaving, await openBoth(isLeft));
  // Both hops have flows now; they change places.
  await fleet.publish(swapHops(leaving, 1));
  const swapped = await holder.ask([...drained, ...afterDrain]);
  await holder.close(swapped);

  const gone = clearSecondHops(
    drain(fleet.tableOf(service.trafficset), DIP, { keepSecondHop: true, roles: 'udp' }),
    'udp',
  );
  await fleet.publish(gone);
  const back = addServer(gone, DIP, 0, 'udp');
  const isGivenBack = (bucket: number): boolean => back.secondHop(bucket) === DIP;
  const late = await openBoth(isGivenBack);
  await fleet.publish(back);
  const added = await holder.ask(late);
  const afterReturn = withDue(back, await openBoth(isGivenBack));
  await holder.close([...added, ...afterReturn]);
  await fleet.restore(full);
  return { service, drained, swapped, added, fresh: [...afterDrain, ...afterReturn] };
}

function judge(judgement: Judgement, seen: Seen): void {
  const { service, drained, swapped, added, fresh } = seen;
  const asked = [...drained, ...swapped, ...added];
  const silent = unanswered([...asked, ...fresh]).length;
  const astray = fresh.filter(wentAstray);
  const moved = asked.filter(hasMoved);
  judgement.expect(silent === 0, `${service.title}: ${silent} datagrams were not answered`);
  judgement.expect(astray.length === 0, `${service.title}: ${astray.length} new flows went elsewhere`);
  if (service.connected) {
    const anew = asked.filter(beganAnew);
    judgement.expect(moved.length === 0, `${service.title}: ${moved.length} flows moved`);
    judgement.expect(anew.length === 0, `${service.title}: ${anew.length} flows began anew`);
  } else {
    judgement.expect(moved.length > 0, `${service.title}: nothing moved; this comparison shows nothing`);
  }
}

function line(seen: Seen): string {
  const moves = ([what, asked]: [string, readonly Asked[]]): string =>
    `${asked.filter(hasMoved).length} of ${asked.length} ${what}`;
  const changes: [string, readonly Asked[]][] = [
    ['moved by the drain', seen.drained],
    ['by the swap of its hops', seen.swapped],
    ['by the return', seen.added],
  ];
  const right = seen.fresh.length - seen.fresh.filter(wentAstray).length;
  return `${seen.service.title}: ${changes.map(moves).join(', ')}; ${right} of ${seen.fresh.length} new ones where the table wants them`;
}

function figures({ drained, swapped, added, fresh }: Seen): Record<string, number> {
  return {
    flows: drained.length + added.length,
    movedByDrain: drained.filter(hasMoved).length,
    movedBySwap: swapped.filter(hasMoved).length,
    movedByReturn: added.filter(hasMoved).length,
    beganAnew: [...drained, ...swapped, ...added].filter(beganAnew).length,
    newFlows: fresh.length,
    resent: [...drained, ...swapped, ...added, ...fresh].reduce(
      (sum, { answer }) => sum + answer.tries - 1,
      0,
    ),
    newAstray: fresh.filter(wentAstray).length,
  };
}
