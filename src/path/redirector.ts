import { udpUpdate16, udpUpdate32, update32 } from '../wire/checksum.js';
import { GUE_AT_HOPS, GUE_AT_NEXT_HOP, GUE_HEADER, GUE_HOP } from '../wire/gue.js';
import { FragmentKind, IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IP_PROTOCOL_UDP, IpPacket } from '../wire/ip.js';
import { IPV4_AT_CHECKSUM, IPV4_AT_DESTINATION, IPV4_AT_SOURCE } from '../wire/ipv4.js';
import { Reason } from '../wire/reason.js';
import { UDP_AT_CHECKSUM, UDP_AT_DESTINATION_PORT, UDP_HEADER } from '../wire/udp.js';
import type { PacketBatch } from './batch.js';
import { Classifier, PacketClass } from './classify.js';
import { type PathCounters, Stage } from './counters.js';
import { Owner } from './owner.js';
import type { SocketLookup } from './sockets.js';
import type { PathState } from './state.js';
import { ACTION_OF, Verdict } from './verdict.js';

/** Offsets from the outer UDP header: the private data, in it next_hop and hop_count, and behind it the hops. */
const PRIVATE_AT = UDP_HEADER + GUE_HEADER;
const NEXT_HOP_AT = UDP_HEADER + GUE_AT_NEXT_HOP;
const HOPS_AT = UDP_HEADER + GUE_AT_HOPS;
/** What must follow the outer IPv4 header at least. */
const WRAPPER_MINIMUM = HOPS_AT;
/** Bits of the private data's first byte: version 0xf0, forward_syn, last_hop_gre, two unused. */
const FORWARD_SYN = 0x08;
const NOT_UNDERSTOOD = 0xf7;

/**
 * Second stage: GUE packets from other nodes. Each is unwrapped for this server's kernel, sent on to the second hop
 * with `next_hop` grown by one, or dropped. A packet cannot loop: next_hop only grows, and never past hop_count.
 */
export class Redirector {
  private readonly outer = new IpPacket();
  private readonly classifier = new Classifier();
  private readonly owner: Owner;
  /** Where in the arena each packet's inner packet begins and ends. */
  private readonly innerOffset: Int32Array;
  private readonly innerEnd: Int32Array;

  /** @param capacity of the batches that will come */
  constructor(
    private state: PathState,
    private counters: PathCounters,
    sockets: SocketLookup,
    capacity: number,
  ) {
    this.owner = new Owner(sockets, capacity);
    this.innerOffset = new Int32Array(capacity);
    this.innerEnd = new Int32Array(capacity);
  }

  /** From the next batch on: new VIPs or trafficsets, and counters that fit them. */
  use(state: PathState, counters: PathCounters): void {
    this.state = state;
    this.counters = counters;
  }

  /** Decides every packet of the batch; packets begin with their outer IPv4 header. */
  process(batch: PacketBatch): void {
    const { state, owner } = this;
    const count = batch.count;
    owner.begin();
    for (let i = 0; i < count; i++) {
      batch.trafficset[i] = -1;
      batch.nextHop[i] = 0;
      batch.verdict[i] = this.judge(state, batch, i);
    }
    owner.resolve();
    const pending = owner.queries.count;
    for (let q = 0; q < pending; q++) {
      batch.verdict[owner.slot[q]] = owner.verdictOf(q);
    }
    for (let i = 0; i < count; i++) {
      const verdict = batch.verdict[i];
      const action = ACTION_OF[verdict];
      batch.action[i] = action;
      this.counters.add(Stage.Redirect, batch.trafficset[i], verdict, batch.length[i]);
      if (verdict === Verdict.Redirect) {
        rewriteOuter(batch.data, batch.offset[i], this.outerHeaderLength(batch, i), batch.nextHop[i]);
      } else if (action !== 0) {
        batch.offset[i] = this.innerOffset[i];
        batch.length[i] = this.innerEnd[i] - this.innerOffset[i];
      }
    }
  }

  private judge(state: PathState, batch: PacketBatch, i: number): number {
    const { outer, classifier } = this;
    const data = batch.data;
    const offset = batch.offset[i];
    if (outer.parse(data, offset, offset + batch.length[i]) !== Reason.Ok || outer.version !== 4) {
      return Verdict.DropMalformedGue;
    }
    if (outer.fragment !== FragmentKind.None) return Verdict.DropFragment;
    if (outer.protocol !== IP_PROTOCOL_UDP) return Verdict.DropNotOurs;
    const udp = outer.transport;
    if (outer.end - udp < WRAPPER_MINIMUM) return Verdict.DropMalformedGue;
    if (
      data.getUint32(offset + IPV4_AT_DESTINATION) !== state.dip ||
      data.getUint16(udp + UDP_AT_DESTINATION_PORT) !== state.port
    ) {
      return Verdict.DropNotOurs;
    }
    if (!state.isUnderlay(data.getUint32(offset + IPV4_AT_SOURCE))) return Verdict.DropStranger;

    // GUE variant and control bit must be 0, as must the flags.
    const gue = data.getUint32(udp + UDP_HEADER);
    const headerWords = gue >>> 24;
    const protocol = (gue >>> 16) & 0xff;
    if (headerWords > 0x1f || (gue & 0xffff) !== 0) return Verdict.DropMalformedGue;
    const privateData = data.getUint32(udp + PRIVATE_AT);
    const privateFlags = privateData >>> 24;
    if ((privateFlags & NOT_UNDERSTOOD) !== 0 || (privateData & 0xff0000) !== 0) {
      return Verdict.DropMalformedGue;
    }
    const nextHop = (privateData >>> 8) & 0xff;
    const hopCount = privateData & 0xff;
    const inner = udp + PRIVATE_AT + headerWords * 4;
    if (headerWords !== 1 + hopCount || nextHop > hopCount || inner > outer.end) return Verdict.DropHopList;

    const kind = classifier.classify(state, data, inner, outer.end);
    const packet = classifier.packet;
    const index = classifier.trafficset;
    batch.trafficset[i] = index;
    if (kind === PacketClass.MalformedIp) return Verdict.DropMalformedIp;
    if (protocol !== (packet.version === 4 ? IP_PROTOCOL_IPIP : IP_PROTOCOL_IPV6)) {
      return Verdict.DropMalformedIp;
    }
    this.innerOffset[i] = inner;
    this.innerEnd[i] = packet.end;
    if (kind !== PacketClass.Flow && kind !== PacketClass.FlowError) return verdictOfClass(kind);

    const hop = nextHop < hopCount ? data.getUint32(udp + HOPS_AT + nextHop * GUE_HOP) : 0;
    // A hop outside the underlay is a lie: following it would make this server a reflector.
    if (hop !== 0 && !state.isUnderlay(hop)) return Verdict.DropHopList;
    batch.nextHop[i] = hop;
    return this.owner.decide(
      classifier.flow,
      state.trafficsets[index],
      hop,
      state.dip,
      i,
      (privateFlags & FORWARD_SYN) === 0 ? 0 : 1,
    );
  }

  private outerHeaderLength(batch: PacketBatch, i: number): number {
    return (batch.data.getUint8(batch.offset[i]) & 0x0f) << 2;
  }
}

/**
 * What one redirect step changes: the packet now comes from here, goes to `hop`, and the next hop to try is one
 * further. Checksums follow incrementally (RFC 1624): the outer IPv4 header's, and the UDP checksum where there is
 * one.
 */
function rewriteOuter(data: DataView, offset: number, headerLength: number, hop: number): void {
  const source = data.getUint32(offset + IPV4_AT_SOURCE);
  const self = data.getUint32(offset + IPV4_AT_DESTINATION);
  const udp = offset + headerLength;
  data.setUint32(offset + IPV4_AT_SOURCE, self);
  data.setUint32(offset + IPV4_AT_DESTINATION, hop);
  // Our own address moves from destination to source: only the old source leaves the sum, only the hop enters.
  data.setUint16(offset + IPV4_AT_CHECKSUM, update32(data.getUint16(offset + IPV4_AT_CHECKSUM), source, hop));

  const hops = data.getUint16(udp + NEXT_HOP_AT);
  data.setUint16(udp + NEXT_HOP_AT, hops + 0x0100);
  const checksum = data.getUint16(udp + UDP_AT_CHECKSUM);
  if (checksum !== 0) {
    data.setUint16(
      udp + UDP_AT_CHECKSUM,
      udpUpdate16(udpUpdate32(checksum, source, hop), hops, hops + 0x0100),
    );
  }
}

function verdictOfClass(kind: number): number {
  switch (kind) {
    case PacketClass.Icmp:
      return Verdict.AcceptIcmp;
    case PacketClass.Fragment:
      return Verdict.DropFragment;
    case PacketClass.MalformedTransport:
      return Verdict.DropMalformedTransport;
    case PacketClass.MalformedIcmp:
      return Verdict.DropMalformedIcmp;
    case PacketClass.IcmpMismatch:
      return Verdict.DropIcmpMismatch;
    default:
      return Verdict.DropNotVip;
  }
}
