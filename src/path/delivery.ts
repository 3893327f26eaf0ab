import { Flow, readTransportFlow } from '../flow/flow.js';
import { FragmentKind, IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IpPacket } from '../wire/ip.js';
import { Reason } from '../wire/reason.js';
import type { PacketBatch } from './batch.js';
import type { PathState } from './state.js';
import { Action } from './verdict.js';

/**
 * What a trafficset's dissector changes about packets right before this server's kernel gets them: see
 * `FlowDissector.deliver`. A pass of its own over the batch, for those nodes that have such a trafficset.
 */
export class Delivery {
  private readonly packet = new IpPacket();
  private readonly flow = new Flow();

  /** @param batch decided; what is to be delivered lies there as the kernel will get it */
  prepare(state: PathState, batch: PacketBatch): void {
    const { packet } = this;
    for (let i = 0; i < batch.count; i++) {
      const index = batch.trafficset[i];
      if (batch.action[i] !== Action.Deliver || index < 0) continue;
      const { dissector } = state.trafficsets[index];
      if (dissector.deliver === undefined) continue;
      const offset = batch.offset[i];
      // Not ICMP errors about the flow, and not the rest of a datagram.
      if (packet.parse(batch.data, offset, offset + batch.length[i]) !== Reason.Ok) continue;
      if (packet.fragment === FragmentKind.Later || !this.hasFlow()) continue;
      dissector.deliver(packet);
    }
  }

  private hasFlow(): boolean {
    const { protocol } = this.packet;
    if (protocol === IP_PROTOCOL_ESP) return true;
    if (protocol !== IP_PROTOCOL_TCP && protocol !== IP_PROTOCOL_UDP) return false;
    return readTransportFlow(this.packet, this.flow) === Reason.Ok;
  }
}
