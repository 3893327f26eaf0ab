import { DISSECT_SERVER, type FlowDissector } from '../../flow/dissector.js';
import { Flow, IcmpClass, readEspFlow, readIcmp, readTransportFlow } from '../../flow/flow.js';
import { FlowKey } from '../../flow/flow-key.js';
import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IpPacket } from '../../wire/ip.js';
import { Reason } from '../../wire/reason.js';

/** What a dissector makes of one packet, for both models: they ask it as the hot stages do, with a packet of their own. */

export type ServiceKey =
  | { readonly kind: 'key'; readonly bytes: Uint8Array }
  /** The packet has none: the 4-tuple. */
  | { readonly kind: 'fallback' }
  /** It names its server, as a host-order number. */
  | { readonly kind: 'server'; readonly dip: number }
  | { readonly kind: 'refused'; readonly reason: string }
  /** It quotes a reply, which does not tell. */
  | { readonly kind: 'unknown' };

/** @param data from the IP header of the packet on, padding cut or not */
export function serviceKey(dissector: FlowDissector, data: DataView, isQuote: boolean): ServiceKey {
  const packet = new IpPacket();
  const flow = new Flow();
  const key = new FlowKey();
  if (packet.parse(data, 0, data.byteLength) !== Reason.Ok) return { kind: 'fallback' };
  if (isQuote) {
    if (dissector.dissectQuoted === undefined) return { kind: 'unknown' };
    if (readIcmp(packet, new IpPacket(), flow) !== IcmpClass.FlowError) return { kind: 'fallback' };
    return { kind: 'key', bytes: key.bytes.slice(0, dissector.dissectQuoted(flow, key)) };
  }
  if (packet.protocol === IP_PROTOCOL_ESP) readEspFlow(packet, flow);
  else if (readTransportFlow(packet, flow) !== Reason.Ok) return { kind: 'fallback' };
  const length = dissector.dissect(packet, flow, key);
  if (length > 0) return { kind: 'key', bytes: key.bytes.slice(0, length) };
  if (length === 0) return { kind: 'fallback' };
  if (length === DISSECT_SERVER) return { kind: 'server', dip: key.server >>> 0 };
  return { kind: 'refused', reason: dissector.drops?.[DISSECT_SERVER - 1 - length] ?? 'no reason' };
}

/** The packet as the dissector makes it for the service; a copy. */
export function delivered(dissector: FlowDissector | null, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (dissector?.deliver === undefined) return copy;
  const packet = new IpPacket();
  if (packet.parse(new DataView(copy.buffer), 0, copy.length) !== Reason.Ok) return copy;
  const { protocol } = packet;
  const isFlow =
    protocol === IP_PROTOCOL_ESP ||
    ((protocol === IP_PROTOCOL_TCP || protocol === IP_PROTOCOL_UDP) &&
      readTransportFlow(packet, new Flow()) === Reason.Ok);
  if (isFlow) dissector.deliver(packet);
  return copy;
}
