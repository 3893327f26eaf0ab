import type { IpPacket } from '../wire/ip.js';
import type { DissectorType, FlowDissector } from './dissector.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';

/**
 * Keys of addresses alone: everything that a client sends to a VIP (`two-tuple`), or to any VIP (`source-address`),
 * goes to one server. For services that open several connections which must meet, and for GLB's default.
 */

class TwoTuple implements FlowDissector {
  readonly name = 'two-tuple';

  dissect(_packet: IpPacket, flow: Flow, key: FlowKey): number {
    return this.dissectQuoted(flow, key);
  }

  /** Source and destination address, in network order: 8 bytes for IPv4, 32 for IPv6. */
  dissectQuoted(flow: Flow, key: FlowKey): number {
    const { data, destinationOffset: at } = flow;
    const length = sourceAddressKey(flow, key);
    const { words } = key;
    words[length >>> 2] = data.getInt32(at, true);
    if (flow.version === 6) {
      words[5] = data.getInt32(at + 4, true);
      words[6] = data.getInt32(at + 8, true);
      words[7] = data.getInt32(at + 12, true);
    }
    key.length = 2 * length;
    return 2 * length;
  }
}

class SourceAddress implements FlowDissector {
  readonly name = 'source-address';

  dissect(_packet: IpPacket, flow: Flow, key: FlowKey): number {
    return sourceAddressKey(flow, key);
  }

  dissectQuoted(flow: Flow, key: FlowKey): number {
    return sourceAddressKey(flow, key);
  }
}

/** 4 bytes for IPv4, 16 for IPv6. */
function sourceAddressKey(flow: Flow, key: FlowKey): number {
  const { data, sourceOffset: at } = flow;
  const { words } = key;
  words[0] = data.getInt32(at, true);
  if (flow.version === 4) {
    key.length = 4;
    return 4;
  }
  words[1] = data.getInt32(at + 4, true);
  words[2] = data.getInt32(at + 8, true);
  words[3] = data.getInt32(at + 12, true);
  key.length = 16;
  return 16;
}

export const twoTuple: DissectorType = { name: 'two-tuple', create: () => new TwoTuple() };
export const sourceAddress: DissectorType = { name: 'source-address', create: () => new SourceAddress() };
