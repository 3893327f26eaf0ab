import type { DissectorContext, FlowDissector } from '../../src/flow/dissector.js';
import { Flow, readEspFlow, readTransportFlow } from '../../src/flow/flow.js';
import { FlowKey } from '../../src/flow/flow-key.js';
import { createDissector } from '../../src/flow/registry.js';
import { parseIpv4 } from '../../src/table/address.js';
import { formatIpv4 } from '../../src/wire/address.js';
import { IP_PROTOCOL_ESP, IpPacket } from '../../src/wire/ip.js';
import { Reason } from '../../src/wire/reason.js';

/** For tests: what a dissector makes of a packet, in words. */

export const CONTEXT: DissectorContext = {
  servers: [
    { name: 's1', dip: parseIpv4('10.0.1.1') },
    { name: 's2', dip: parseIpv4('10.0.2.1') },
    { name: 's3', dip: parseIpv4('10.0.3.1') },
  ],
  protocols: [17],
};

export function make(
  name: string,
  options: Readonly<Record<string, unknown>> = {},
  context = CONTEXT,
): FlowDissector {
  return createDissector({ name, module: null, options }, context);
}

/** `key 0102`, `fallback`, `server 10.0.2.1` or `drop REASON`. */
export function outcomeOf(dissector: FlowDissector, bytes: Uint8Array): string {
  const packet = new IpPacket();
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (packet.parse(data, 0, bytes.length) !== Reason.Ok) throw new Error('no packet');
  const flow = new Flow();
  if (packet.protocol === IP_PROTOCOL_ESP) readEspFlow(packet, flow);
  else if (readTransportFlow(packet, flow) !== Reason.Ok) throw new Error('no flow');
  const key = new FlowKey();
  key.bytes.fill(0xa5);
  const length = dissector.dissect(packet, flow, key);
  if (length > 0) return `key ${Buffer.from(key.bytes.subarray(0, length)).toString('hex')}`;
  if (length === 0) return 'fallback';
  if (length === -1) return `server ${formatIpv4(key.server >>> 0)}`;
  const reason = dissector.drops?.[-2 - length];
  if (reason === undefined) throw new Error(`code ${length} has no reason`);
  return `drop ${reason}`;
}
