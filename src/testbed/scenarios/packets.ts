import type { Fleet } from '../fleet.js';

/** Packets by what the nodes did with them, over all nodes. */
export interface PacketCounts {
  /** Came from the router to a node that does not own them. */
  readonly forwarded: number;
  /** Came from the router to the node that owns them. */
  readonly atOwner: number;
  /** Sent on from the first hop to the second. */
  readonly redirected: number;
  readonly icmpForwarded: number;
  readonly icmpAccepted: number;
}

export async function countPackets(fleet: Fleet): Promise<PacketCounts> {
  const metrics = await fleet.allMetrics();
  const packets = (labels: Record<string, string>): number => metrics.sum('twohop_packets_total', labels);
  return {
    forwarded: packets({ stage: 'forward', verdict: 'forward' }),
    atOwner: packets({ stage: 'forward', action: 'deliver' }),
    redirected: packets({ verdict: 'redirect' }),
    icmpForwarded: packets({ verdict: 'forward_icmp_error' }),
    icmpAccepted: packets({ verdict: 'accept_icmp_error' }),
  };
}
