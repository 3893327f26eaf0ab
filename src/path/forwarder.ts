import { DISSECT_FALLBACK } from '../flow/dissector.js';
import { FlowKey } from '../flow/flow-key.js';
import { fourTupleKey } from '../flow/four-tuple.js';
import { halfSipHash24 } from '../flow/halfsiphash.js';
import type { PacketBatch } from './batch.js';
import { Classifier, PacketClass } from './classify.js';
import { type PathCounters, Stage } from './counters.js';
import { ENCAPSULATION_BASE, encapsulate, entropyPort, HOP_LENGTH } from './encapsulate.js';
import { Owner, PENDING } from './owner.js';
import type { SocketLookup } from './sockets.js';
import type { PathState, TrafficsetState } from './state.js';
import { ACTION_OF, Verdict } from './verdict.js';

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const VERDICT = Verdict;
const ACTIONS = ACTION_OF;
const PACKET_CLASS = PacketClass;
const STAGE = Stage;
const WAITS = PENDING;
const FALLBACK = DISSECT_FALLBACK;
const OVERHEAD = ENCAPSULATION_BASE;
const OVERHEAD_WITH_HOP = ENCAPSULATION_BASE + HOP_LENGTH;

/**
 * First stage: packets that the router sent to a VIP. Each is passed, dropped, wrapped towards its flow's first hop,
 * or, when this server is the first hop, judged as the redirector would judge it, without the wire in between.
 */
export class Forwarder {
  /** What the packet judged last was taken for, and its flow key: for those who explain batches of one. */
  readonly classifier = new Classifier();
  readonly key = new FlowKey();
  private readonly owner: Owner;
  /** Length of each packet as it came: what is counted. */
  private readonly entered: Int32Array;

  /** @param capacity of the batches that will come */
  constructor(
    private state: PathState,
    private counters: PathCounters,
    sockets: SocketLookup,
    capacity: number,
  ) {
    this.owner = new Owner(sockets, capacity);
    this.entered = new Int32Array(capacity);
  }

  /** From the next batch on: new tables, VIPs or trafficsets, and counters that fit them. */
  use(state: PathState, counters: PathCounters): void {
    this.state = state;
    this.counters = counters;
  }

  /** Decides every packet of the batch: sets verdict, action and next hop, and wraps what is to be sent. */
  process(batch: PacketBatch): void {
    const { state, owner } = this;
    const count = batch.count;
    owner.begin();
    for (let i = 0; i < count; i++) {
      this.entered[i] = batch.length[i];
      this.conclude(batch, i, this.judge(state, batch, i));
    }
    owner.resolve();
    const pending = owner.queries.count;
    for (let q = 0; q < pending; q++) {
      this.conclude(batch, owner.slot[q], this.settle(state, batch, q));
    }
  }

  private conclude(batch: PacketBatch, i: number, verdict: number): void {
    if (verdict === WAITS) return;
    batch.verdict[i] = verdict;
    batch.action[i] = ACTIONS[verdict];
    this.counters.add(STAGE.Forward, batch.trafficset[i], verdict, this.entered[i]);
  }

  private judge(state: PathState, batch: PacketBatch, i: number): number {
    const classifier = this.classifier;
    const offset = batch.offset[i];
    const kind = classifier.classify(state, batch.data, offset, offset + batch.length[i]);
    const index = classifier.trafficset;
    batch.trafficset[i] = index;
    if (kind !== PACKET_CLASS.Flow && kind !== PACKET_CLASS.FlowError) return verdictOfClass(kind);

    const trafficset = state.trafficsets[index];
    if (trafficset.slots.length === 0) return VERDICT.DropNoTable;
    const keyLength = this.flowKey(trafficset, kind);
    if (keyLength < 0) return VERDICT.DropDissector;
    const hash = halfSipHash24(this.key.words, keyLength, trafficset.key0, trafficset.key1);
    batch.flowHash[i] = hash;
    const bucket = (hash & trafficset.mask) << 1;
    const first = trafficset.slots[bucket] | 0;
    if (first === 0) return VERDICT.DropEmptyBucket;
    const second = trafficset.twoSlots === 1 ? trafficset.slots[bucket + 1] | 0 : 0;

    const packet = classifier.packet;
    const length = packet.end - offset;
    if (first === state.self) {
      batch.length[i] = length;
      batch.nextHop[i] = second;
      return this.owner.decide(classifier.flow, trafficset, second, state.self, i, 0);
    }
    return wrap(
      state,
      batch,
      i,
      length,
      packet.version,
      first,
      second,
      0,
      kind === PACKET_CLASS.Flow ? VERDICT.Forward : VERDICT.ForwardIcmpError,
    );
  }

  private flowKey(trafficset: TrafficsetState, kind: number): number {
    const { classifier, key } = this;
    if (kind === PACKET_CLASS.FlowError) return fourTupleKey(classifier.flow, key);
    const length = trafficset.dissector.dissect(classifier.packet, classifier.flow, key);
    return length === FALLBACK ? fourTupleKey(classifier.flow, key) : length;
  }

  /** Brings a packet that waited for its lookup to its end: taken in here, or wrapped as a redirector sends it. */
  private settle(state: PathState, batch: PacketBatch, query: number): number {
    const verdict = this.owner.verdictOf(query);
    if (verdict !== VERDICT.Redirect) return verdict;
    const i = this.owner.slot[query];
    const second = batch.nextHop[i] | 0;
    return wrap(
      state,
      batch,
      i,
      batch.length[i],
      this.owner.queries.version[query],
      second,
      second,
      1,
      verdict,
    );
  }
}

/** @returns `verdict`, or DropTooBig when the underlay cannot carry the wrapped packet */
function wrap(
  state: PathState,
  batch: PacketBatch,
  i: number,
  length: number,
  version: number,
  destination: number,
  hop: number,
  nextHop: number,
  verdict: number,
): number {
  const overhead = hop === 0 ? OVERHEAD : OVERHEAD_WITH_HOP;
  if (length + overhead > state.underlayMtu) return VERDICT.DropTooBig;
  encapsulate(
    batch.data,
    batch.offset[i],
    length,
    version,
    state.self,
    destination,
    entropyPort(batch.flowHash[i]),
    state.port,
    hop,
    nextHop,
  );
  batch.offset[i] -= overhead;
  batch.length[i] = length + overhead;
  batch.nextHop[i] = destination;
  return verdict;
}

function verdictOfClass(kind: number): number {
  switch (kind) {
    case PACKET_CLASS.NotVip:
      return VERDICT.PassNotVip;
    case PACKET_CLASS.NoService:
      return VERDICT.PassNoService;
    case PACKET_CLASS.Icmp:
      return VERDICT.PassIcmp;
    case PACKET_CLASS.Fragment:
      return VERDICT.DropFragment;
    case PACKET_CLASS.MalformedTransport:
      return VERDICT.DropMalformedTransport;
    case PACKET_CLASS.MalformedIcmp:
      return VERDICT.DropMalformedIcmp;
    case PACKET_CLASS.IcmpMismatch:
      return VERDICT.DropIcmpMismatch;
    default:
      return VERDICT.DropMalformedIp;
  }
}
