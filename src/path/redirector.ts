import { DISSECT_DROP } from '../flow/dissector.js';
import { udpUpdate16, udpUpdate32, update32 } from '../wire/checksum.js';
import { GUE_AT_HOPS, GUE_AT_NEXT_HOP, GUE_HEADER, GUE_HOP } from '../wire/gue.js';
import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IP_PROTOCOL_UDP, OFFSET_BITS } from '../wire/ip.js';
import {
  IPV4_AT_CHECKSUM,
  IPV4_AT_DESTINATION,
  IPV4_AT_FLAGS,
  IPV4_AT_SOURCE,
  IPV4_HEADER,
} from '../wire/ipv4.js';
import { UDP_AT_CHECKSUM, UDP_AT_DESTINATION_PORT, UDP_HEADER } from '../wire/udp.js';
import type { PacketBatch } from './batch.js';
import { Classifier, PacketClass } from './classify.js';
import { KeyOutcome, type PathCounters, Stage } from './counters.js';
import { Delivery } from './delivery.js';
import { FlowKeys, NO_KEY } from './flow-keys.js';
import { Foresight } from './foresight.js';
import { FragmentTrail } from './fragment-trail.js';
import { Owner, PENDING } from './owner.js';
import { judgePlain, NOT_PLAIN } from './plain-redirect.js';
import type { SocketLookup } from './sockets.js';
import { OwnerRule, type PathState, type TrafficsetState } from './state.js';
import { ACTION_OF, Action, Verdict } from './verdict.js';

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const VERDICT = Verdict;
const ACTIONS = ACTION_OF;
const ACTION = Action;
const PACKET_CLASS = PacketClass;
const STAGE = Stage;
const WAITS = PENDING;
const WITHOUT_KEY = NO_KEY;
const ANOTHER = NOT_PLAIN;
const OFFSETS = OFFSET_BITS;
const BY_SESSIONS = OwnerRule.Sessions;
const UDP = IP_PROTOCOL_UDP;
const IPIP = IP_PROTOCOL_IPIP;
const IPV6 = IP_PROTOCOL_IPV6;
/** Offsets from the outer IPv4 header. */
const IPV4 = IPV4_HEADER;
const FLAGS_AT = IPV4_AT_FLAGS;
const CHECKSUM_AT = IPV4_AT_CHECKSUM;
const SOURCE_AT = IPV4_AT_SOURCE;
const DESTINATION_AT = IPV4_AT_DESTINATION;
/** Offsets from the outer UDP header: GUE, its private data, in it next_hop, and behind it the hops. */
const PORT_AT = UDP_AT_DESTINATION_PORT;
const UDP_CHECKSUM_AT = UDP_AT_CHECKSUM;
const GUE_AT = UDP_HEADER;
const PRIVATE_AT = UDP_HEADER + GUE_HEADER;
const NEXT_HOP_AT = UDP_HEADER + GUE_AT_NEXT_HOP;
const HOPS_AT = UDP_HEADER + GUE_AT_HOPS;
const PER_HOP = GUE_HOP;
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
  /** 1 when every packet leaves in `classifier` what it was taken for, which takes longer: for batches of one. */
  explains = 0;
  /** What the packet judged last was taken for, where {@link explains} is 1. */
  readonly classifier = new Classifier();
  readonly keys = new FlowKeys();
  /** Milliseconds on a clock that never goes back: the driver sets it before a batch. */
  now = 1;
  private readonly owner: Owner;
  private readonly fragments: FragmentTrail;
  private readonly foresight: Foresight;
  private readonly delivery = new Delivery();
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
    this.fragments = new FragmentTrail(capacity);
    this.foresight = new Foresight(capacity);
    this.innerOffset = new Int32Array(capacity);
    this.innerEnd = new Int32Array(capacity);
  }

  /** From the next batch on: new VIPs or trafficsets, and counters that fit them. */
  use(state: PathState, counters: PathCounters): void {
    this.state = state;
    this.counters = counters;
    this.fragments.forget();
  }

  /** Decides every packet of the batch; packets begin with their outer IPv4 header. */
  process(batch: PacketBatch): void {
    const { state, owner, fragments } = this;
    const count = batch.count;
    owner.begin();
    fragments.begin();
    if (state.vips.isLarge === 1) this.foresight.look(state, batch, 1);
    for (let i = 0; i < count; i++) {
      let verdict =
        this.explains === 1 ? ANOTHER : judgePlain(state, batch, i, owner, this.innerOffset, this.innerEnd);
      if (verdict === ANOTHER) {
        verdict = this.judge(state, batch, i);
        batch.trafficset[i] = this.classifier.trafficset;
      }
      if (verdict !== WAITS) this.conclude(batch, i, verdict, batch.trafficset[i]);
    }
    owner.resolve();
    const pending = owner.queries.count;
    for (let q = 0; q < pending; q++) {
      const slot = owner.slot[q];
      this.conclude(batch, slot, owner.verdictOf(q), batch.trafficset[slot]);
    }
    if (fragments.firstCount + fragments.laterCount !== 0) this.concludeFragments(state, batch);
    if (state.alters === 1) this.delivery.prepare(state, batch);
  }

  /** Counts the packet and makes it what its verdict says: the inner packet, or one for the next hop. */
  private conclude(batch: PacketBatch, i: number, verdict: number, trafficset: number): void {
    batch.verdict[i] = verdict;
    const action = ACTIONS[verdict];
    batch.action[i] = action;
    this.counters.add(STAGE.Redirect, trafficset, verdict, batch.length[i]);
    if (action === ACTION.Deliver) {
      const inner = this.innerOffset[i];
      batch.offset[i] = inner;
      batch.length[i] = this.innerEnd[i] - inner;
    } else if (action === ACTION.Send) {
      rewriteOuter(batch.data, batch.offset[i], batch.nextHop[i] | 0);
    }
  }

  private judge(state: PathState, batch: PacketBatch, i: number): number {
    const { classifier } = this;
    const data = batch.data;
    const offset = batch.offset[i] & OFFSETS;
    const present = batch.length[i] & OFFSETS;
    classifier.trafficset = -1;
    // The outer header is always IPv4, and few of its fields matter: read here, not through a view.
    if (present < IPV4) return VERDICT.DropMalformedGue;
    const first = data.getInt32(offset);
    const udp = offset + ((first >>> 22) & 0x3c);
    const outerLength = first & 0xffff;
    const outerEnd = offset + outerLength;
    if (first >>> 28 !== 4 || udp - offset < IPV4 || outerLength > present || outerEnd < udp) {
      return VERDICT.DropMalformedGue;
    }
    // Flags and fragment offset, TTL, protocol: one read. More fragments, or an offset?
    const fragmentAndProtocol = data.getInt32(offset + FLAGS_AT);
    if ((fragmentAndProtocol & 0x3fff0000) !== 0) return VERDICT.DropFragment;
    if ((fragmentAndProtocol & 0xff) !== UDP) return VERDICT.DropNotOurs;
    if (outerEnd - udp < WRAPPER_MINIMUM) return VERDICT.DropMalformedGue;
    // The port, and behind it the length of the datagram: what lies beyond that is not GUE's.
    const portAndLength = data.getInt32(udp + PORT_AT);
    if (data.getInt32(offset + DESTINATION_AT) !== state.self || portAndLength >>> 16 !== state.port) {
      return VERDICT.DropNotOurs;
    }
    const end = udp + (portAndLength & 0xffff);
    if (end > outerEnd) return VERDICT.DropMalformedGue;
    if (!state.isUnderlay(data.getInt32(offset + SOURCE_AT))) return VERDICT.DropStranger;

    // GUE variant and control bit must be 0, as must the flags.
    const gue = data.getInt32(udp + GUE_AT);
    const headerWords = gue >>> 24;
    const protocol = (gue >>> 16) & 0xff;
    if (headerWords > 0x1f || (gue & 0xffff) !== 0) return VERDICT.DropMalformedGue;
    const privateData = data.getInt32(udp + PRIVATE_AT);
    const privateFlags = privateData >>> 24;
    if ((privateFlags & NOT_UNDERSTOOD) !== 0 || (privateData & 0xff0000) !== 0) {
      return VERDICT.DropMalformedGue;
    }
    const nextHop = (privateData >>> 8) & 0xff;
    const hopCount = privateData & 0xff;
    const inner = udp + PRIVATE_AT + headerWords * 4;
    if (headerWords !== 1 + hopCount || nextHop > hopCount || inner > end) return VERDICT.DropHopList;

    const kind = classifier.classify(state, data, inner, end);
    const packet = classifier.packet;
    const index = classifier.trafficset;
    if (kind === PACKET_CLASS.MalformedIp) return VERDICT.DropMalformedIp;
    if (protocol !== (packet.version === 4 ? IPIP : IPV6)) {
      return VERDICT.DropMalformedIp;
    }
    this.innerOffset[i] = inner;
    this.innerEnd[i] = packet.end;
    if (
      kind !== PACKET_CLASS.Flow &&
      kind !== PACKET_CLASS.FlowError &&
      kind !== PACKET_CLASS.FirstFragment &&
      kind !== PACKET_CLASS.LaterFragment
    ) {
      return verdictOfClass(kind);
    }

    const hop = nextHop < hopCount ? data.getInt32(udp + HOPS_AT + nextHop * PER_HOP) : 0;
    if (kind === PACKET_CLASS.LaterFragment) {
      batch.nextHop[i] = hop;
      this.fragments.addLater(i);
      return WAITS;
    }
    if (kind === PACKET_CLASS.FirstFragment) this.fragments.addFirst(classifier, i, this.now);
    // A hop outside the underlay is a lie: following it would make this server a reflector.
    if (hop !== 0 && !state.isUnderlay(hop)) return VERDICT.DropHopList;
    batch.nextHop[i] = hop;
    const trafficset = state.trafficsets[index];
    let isSession = 0;
    if (trafficset.ownerRule === BY_SESSIONS) {
      isSession = this.sessionOf(trafficset);
      if (isSession < 0) return VERDICT.DropDissector;
    }
    return this.owner.decide(
      classifier.flow,
      trafficset,
      hop,
      state.self,
      i,
      (privateFlags & FORWARD_SYN) === 0 ? 0 : 1,
      isSession,
    );
  }

  /** @returns 1 when the service here has the session, 0 when it has not, -1 when the dissector refuses the packet */
  private sessionOf(trafficset: TrafficsetState): number {
    const { keys } = this;
    const length = keys.take(trafficset, this.classifier);
    if (length === WITHOUT_KEY) return 0;
    if (length < 0) {
      this.counters.addKey(this.classifier.trafficset, KeyOutcome.Drop + DISSECT_DROP - length);
      return -1;
    }
    return trafficset.sessions.has(keys.key, length) ? 1 : 0;
  }

  /** First fragments are remembered as they ended; later ones end alike, each along its own hop list. */
  private concludeFragments(state: PathState, batch: PacketBatch): void {
    const { fragments, classifier, now } = this;
    const { memory } = fragments;
    for (let f = 0; f < fragments.firstCount; f++) {
      const i = fragments.firstSlots[f];
      const entry = fragments.firstEntries[f];
      memory.verdict[entry] = batch.verdict[i];
      memory.trafficset[entry] = batch.trafficset[i];
    }
    for (let f = 0; f < fragments.laterCount; f++) {
      const i = fragments.laterSlots[f];
      const entry = fragments.find(classifier, state, batch, i, this.innerOffset[i], now);
      if (entry < 0) {
        const kind = classifier.classifyUnknown(state);
        batch.trafficset[i] = classifier.trafficset;
        this.conclude(batch, i, verdictOfClass(kind), classifier.trafficset);
        continue;
      }
      const trafficset = memory.trafficset[entry];
      batch.trafficset[i] = trafficset;
      this.conclude(batch, i, alike(state, memory.verdict[entry], batch.nextHop[i] | 0), trafficset);
    }
  }
}

/** The end of a later fragment whose first one ended with `verdict`; its wrapper may be another's. @param hop as int32 */
function alike(state: PathState, verdict: number, hop: number): number {
  if (verdict !== VERDICT.Redirect) return verdict;
  if (hop === 0) return VERDICT.AcceptLastHop;
  if (hop === state.self) return VERDICT.AcceptSelf;
  return state.isUnderlay(hop) ? verdict : VERDICT.DropHopList;
}

/**
 * What one redirect step changes: the packet now comes from here, goes to `hop`, and the next hop to try is one
 * further. Checksums follow incrementally (RFC 1624): the outer IPv4 header's, and the UDP checksum where there is
 * one.
 */
function rewriteOuter(data: DataView, at: number, hop: number): void {
  const offset = at & OFFSETS;
  const source = data.getInt32(offset + SOURCE_AT);
  const self = data.getInt32(offset + DESTINATION_AT);
  const udp = offset + ((data.getUint8(offset) & 0x0f) << 2);
  data.setInt32(offset + SOURCE_AT, self);
  data.setInt32(offset + DESTINATION_AT, hop);
  // Our own address moves from destination to source: only the old source leaves the sum, only the hop enters.
  data.setUint16(offset + CHECKSUM_AT, update32(data.getUint16(offset + CHECKSUM_AT), source, hop));

  const hops = data.getUint16(udp + NEXT_HOP_AT);
  data.setUint16(udp + NEXT_HOP_AT, hops + 0x0100);
  const checksum = data.getUint16(udp + UDP_CHECKSUM_AT);
  if (checksum !== 0) {
    data.setUint16(
      udp + UDP_CHECKSUM_AT,
      udpUpdate16(udpUpdate32(checksum, source, hop), hops, hops + 0x0100),
    );
  }
}

function verdictOfClass(kind: number): number {
  switch (kind) {
    case PACKET_CLASS.Icmp:
      return VERDICT.AcceptIcmp;
    case PACKET_CLASS.Fragment:
      return VERDICT.DropFragment;
    case PACKET_CLASS.UnknownFragment:
      return VERDICT.DropFragmentUnknown;
    case PACKET_CLASS.MalformedTransport:
      return VERDICT.DropMalformedTransport;
    case PACKET_CLASS.MalformedIcmp:
      return VERDICT.DropMalformedIcmp;
    case PACKET_CLASS.IcmpMismatch:
      return VERDICT.DropIcmpMismatch;
    default:
      return VERDICT.DropNotVip;
  }
}
