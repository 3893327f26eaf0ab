import type { DataCenter } from '../../data-center.js';
import { QUIC_PORTS, type Way } from '../../quic/plan.js';
import { QUIC_TRAFFICSETS } from '../../quic/trafficsets.js';
import type { Judgement } from '../scenario.js';
import { reportsOf } from './exchanges.js';

/** What became of packets, as the nodes and the servers count them. */
export interface PacketCounts {
  /** Came from the router, named a server by their connection ID, and went there. */
  readonly named: number;
  /** Came from the router for the same service, and went by their 4-tuple. */
  readonly unnamed: number;
  /** Reached a server that knew nothing of their connection. */
  readonly strays: Readonly<Record<Way, number>>;
}

export async function countPackets(dataCenter: DataCenter): Promise<PacketCounts> {
  const { samples } = await dataCenter.requireFleet().allMetrics();
  let named = 0;
  let unnamed = 0;
  for (const { name, labels, value } of samples) {
    if (name !== 'twohop_packets_total' || labels.stage !== 'forward') continue;
    if (labels.trafficset !== QUIC_TRAFFICSETS['connection id']) continue;
    if (labels.verdict === 'forward_named' || labels.verdict === 'accept_named') named += value;
    // An error about a packet that went to a client who had just left: not a packet of a connection.
    else if (!labels.verdict.includes('icmp')) unnamed += value;
  }
  const reports = await reportsOf(dataCenter);
  const straysOf = (way: Way): number =>
    reports.reduce(
      (total, { strays }) =>
        total + Object.values(QUIC_PORTS[way]).reduce((part, port) => part + (strays[port] ?? 0), 0),
      0,
    );
  return {
    named,
    unnamed,
    strays: { 'connection id': straysOf('connection id'), '4-tuple': straysOf('4-tuple') },
  };
}

/** Of connections by ID, behind their handshakes: every packet names its server, and that one knows the connection. */
export function judgePackets(judgement: Judgement, { named, unnamed, strays }: PacketCounts): void {
  judgement.expect(named > 0, 'no packet went to the server that it names');
  judgement.expect(unnamed === 0, `${unnamed} packets did not name their server`);
  judgeStrays(judgement, strays['connection id']);
}

export function judgeStrays(judgement: Judgement, strays: number): void {
  judgement.expect(strays === 0, `${strays} packets reached a server that did not know their connection`);
}

/** For people. */
export function packetLine({ named, strays }: PacketCounts): string {
  return `${named} packets named their server; ${strays['connection id']} reached another (by 4-tuple: ${strays['4-tuple']})`;
}
