import type { IpPacket } from '../wire/ip.js';
import type { DissectorType, FlowDissector } from './dissector.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';

/**
 * Source address, destination address, source port, destination port, in network order: 12 bytes for IPv4, 36 for
 * IPv6. The default for TCP and UDP.
 * @returns the key's length in bytes
 */
export function fourTupleKey(flow: Flow, key: FlowKey): number {
  const data = flow.data;
  const words = key.words;
  const source = flow.sourceOffset;
  const destination = flow.destinationOffset;
  const { ports } = flow;
  if (flow.version === 4) {
    words[0] = data.getInt32(source, true);
    words[1] = data.getInt32(destination, true);
    words[2] = ports;
    key.length = 12;
    return 12;
  }
  words[0] = data.getInt32(source, true);
  words[1] = data.getInt32(source + 4, true);
  words[2] = data.getInt32(source + 8, true);
  words[3] = data.getInt32(source + 12, true);
  words[4] = data.getInt32(destination, true);
  words[5] = data.getInt32(destination + 4, true);
  words[6] = data.getInt32(destination + 8, true);
  words[7] = data.getInt32(destination + 12, true);
  words[8] = ports;
  key.length = 36;
  return 36;
}

export class FourTuple implements FlowDissector {
  readonly name = 'four-tuple';

  dissect(_packet: IpPacket, flow: Flow, key: FlowKey): number {
    return fourTupleKey(flow, key);
  }

  dissectQuoted(flow: Flow, key: FlowKey): number {
    return fourTupleKey(flow, key);
  }
}

export const fourTuple: DissectorType = {
  name: 'four-tuple',
  create: () => new FourTuple(),
};
