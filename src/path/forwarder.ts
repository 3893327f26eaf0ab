import { DISSECT_DROP } from '../flow/dissector.js';
import { halfSipHash24 } from '../flow/halfsiphash.js';
import { OFFSET_BITS } from '../wire/ip.js';
import type { PacketBatch } from './batch.js';
import { Classifier, PacketClass } from './classify.js';
import { IcmpCopies } from './copies.js';
import { KeyOutcome, type PathCounters, Stage } from './counters.js';
import { Delivery } from './delivery.js';
import { ENCAPSULATION_BASE, encapsulate, entropyPort, HOP_LENGTH } from './encapsulate.js';
import { FlowKeys, NO_KEY } from './flow-keys.js';
import { Foresight } from './foresight.js';
import { FragmentTrail } from './fragment-trail.js';
import { Owner, PENDING } from './owner.js';
import { Postponed } from './postponed.js';
import type { SocketLookup } from './sockets.js';
import { OwnerRule, type PathState } from './state.js';
import { ACTION_OF, Action, Verdict } from './verdict.js';

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const VERDICT = Verdict;
const ACTIONS = ACTION_OF;
const PACKET_CLASS = PacketClass;
const STAGE = Stage;
const ACTION = Action;
const KEY_OUTCOME = KeyOutcome;
const WAITS = PENDING;
const WITHOUT_KEY = NO_KEY;
const OFFSETS = OFFSET_BITS;
const BY_SESSIONS = OwnerRule.Sessions;
/** In the hop list's first word: next_hop is the second byte from the right, hop_count the last. */
const HOP_WORD_AT = ENCAPSULATION_BASE - 4;
const OVERHEAD = ENCAPSULATION_BASE;
const OVERHEAD_WITH_HOP = ENCAPSULATION_BASE + HOP_LENGTH;

/**
 * First stage: packets that the router sent to a VIP. Each is passed, dropped, wrapped towards its flow's first hop,
 * or, when this server is the first hop, judged as the redirector would judge it, without the wire in between.
 */
export class Forwarder {
  /** What the packet judged last was taken for, and its flow key: for those who explain batches of one. */
  readonly classifier = new Classifier();
  readonly keys = new FlowKeys();
  /** The dissector's reason to drop the packet judged last, from 0. */
  dropReason = 0;
  /** Milliseconds on a clock that never goes back: the driver sets it before a batch. */
  now = 1;
  /** Made by {@link process}: see {@link nextCopies}. */
  private readonly copies: IcmpCopies;
  private readonly owner: Owner;
  private readonly fragments: FragmentTrail;
  private readonly foresight: Foresight;
  private readonly postponed: Postponed;
  /** 0 while packets that were postponed are judged again. */
  private postpones = 1;
  private readonly delivery = new Delivery();
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
    this.copies = new IcmpCopies(capacity);
    this.fragments = new FragmentTrail(capacity);
    this.foresight = new Foresight(capacity);
    this.postponed = new Postponed(capacity);
    this.entered = new Int32Array(capacity);
  }

  /** From the next batch on: new tables, VIPs or trafficsets, and counters that fit them. */
  use(state: PathState, counters: PathCounters): void {
    this.state = state;
    this.counters = counters;
    this.fragments.forget();
  }

  /** Decides every packet of the batch: sets verdict, action and next hop, and wraps what is to be sent. */
  process(batch: PacketBatch): void {
    const { state, owner, fragments, postponed } = this;
    const count = batch.count;
    owner.begin();
    fragments.begin();
    postponed.begin();
    this.copies.begin();
    if (state.vips.isLarge === 1) this.foresight.look(state, batch, 0);
    for (let i = 0; i < count; i++) {
      this.entered[i] = batch.length[i];
      this.conclude(batch, i, this.judge(state, batch, i));
    }
    if (postponed.count !== 0) this.concludePostponed(state, batch);
    owner.resolve();
    const pending = owner.queries.count;
    for (let q = 0; q < pending; q++) {
      this.conclude(batch, owner.slot[q], this.settle(state, batch, q));
    }
    if (fragments.firstCount + fragments.laterCount !== 0) this.concludeFragments(state, batch);
    if (state.alters === 1) this.delivery.prepare(state, batch);
  }

  /**
   * After {@link process}, and before the batch is delivered: packets to be sent besides those of the batch.
   * @returns the next of them, valid until the next call; null when there are no more
   */
  nextCopies(batch: PacketBatch): PacketBatch | null {
    return this.copies.fill(this.state, batch);
  }

  private conclude(batch: PacketBatch, i: number, verdict: number): void {
    if (verdict === WAITS) return;
    batch.verdict[i] = verdict;
    batch.action[i] = ACTIONS[verdict];
    this.counters.add(STAGE.Forward, batch.trafficset[i], verdict, this.entered[i]);
  }

  private judge(state: PathState, batch: PacketBatch, i: number): number {
    const classifier = this.classifier;
    const offset = batch.offset[i] & OFFSETS;
    const kind = classifier.classify(state, batch.data, offset, offset + (batch.length[i] & OFFSETS));
    const index = classifier.trafficset;
    batch.trafficset[i] = index;
    if (kind !== PACKET_CLASS.Flow && kind !== PACKET_CLASS.FlowError) {
      if (kind < PACKET_CLASS.FirstFragment) return verdictOfClass(kind);
      if (kind === PACKET_CLASS.UnknownFragment) return VERDICT.DropFragmentUnknown;
      if (kind === PACKET_CLASS.LaterFragment) {
        this.fragments.addLater(i);
        return WAITS;
      }
      this.fragments.addFirst(classifier, i, this.now);
      if (kind === PACKET_CLASS.NoServiceFragment) return VERDICT.PassNoService;
    }

    const trafficset = state.trafficsets[index];
    if (trafficset.slots.length === 0) return VERDICT.DropNoTable;
    const keys = this.keys;
    const keyLength = keys.take(trafficset, classifier);
    const length = classifier.packet.end - offset;
    if (keyLength < 0) {
      if (keyLength !== WITHOUT_KEY) return this.refuse(index, keyLength);
      batch.length[i] = length;
      return this.copies.note(state, trafficset, i, length, this.now);
    }
    const hash = halfSipHash24(keys.key.words, keyLength, trafficset.key0, trafficset.key1);
    batch.flowHash[i] = hash;
    if (keys.named === 1) {
      if (trafficset.memberSet.has(keys.key.server)) return this.sendToNamed(state, batch, i, index, length);
      this.counters.addKey(index, KEY_OUTCOME.ServerGone);
    } else if (keys.fellBack === 1) {
      this.counters.addKey(index, KEY_OUTCOME.Fallback);
    }
    const bucket = (hash & trafficset.mask) << 1;
    const verdictAway = kind === PACKET_CLASS.FlowError ? VERDICT.ForwardIcmpError : VERDICT.Forward;
    // What has left traces elsewhere (a fragment, a counter) is judged at once: it could not be judged a second time.
    const isPlain = kind < PACKET_CLASS.Icmp && (keys.named | keys.fellBack) === 0;
    if (trafficset.isLarge === 1 && this.postpones === 1 && isPlain) {
      this.postponed.add(i, bucket, length, classifier.packet.version, verdictAway);
      return WAITS;
    }
    const first = trafficset.slots[bucket] | 0;
    if (first === 0) return VERDICT.DropEmptyBucket;
    const second = trafficset.twoSlots === 1 ? trafficset.slots[bucket + 1] | 0 : 0;

    const packet = classifier.packet;
    if (first === state.self) {
      batch.length[i] = length;
      batch.nextHop[i] = second;
      const isSession =
        trafficset.ownerRule === BY_SESSIONS && trafficset.sessions.has(keys.key, keyLength) ? 1 : 0;
      const verdict = this.owner.decide(classifier.flow, trafficset, second, state.self, i, 0, isSession);
      if (verdict !== VERDICT.Redirect) return verdict;
      return wrap(state, batch, i, length, packet.version, second, second, 1, verdict);
    }
    return wrap(state, batch, i, length, packet.version, first, second, 0, verdictAway);
  }

  /** Of packets whose rows were fetched together: what is for another server is wrapped, what is ours judged again. */
  private concludePostponed(state: PathState, batch: PacketBatch): void {
    const { postponed } = this;
    postponed.fetch(state, batch);
    this.postpones = 0;
    for (let p = 0; p < postponed.count; p++) {
      const i = postponed.slot[p];
      const first = postponed.first[p];
      if (first === 0 || first === state.self) {
        this.conclude(batch, i, this.judge(state, batch, i));
        continue;
      }
      const second = postponed.second[p];
      const { length, version, verdict } = postponed;
      this.conclude(batch, i, wrap(state, batch, i, length[p], version[p], first, second, 0, verdict[p]));
    }
    this.postpones = 1;
  }

  private refuse(index: number, code: number): number {
    this.dropReason = DISSECT_DROP - code;
    this.counters.addKey(index, KeyOutcome.Drop + this.dropReason);
    return VERDICT.DropDissector;
  }

  /** The server that the packet names has it or nobody: no second hop could help. */
  private sendToNamed(
    state: PathState,
    batch: PacketBatch,
    i: number,
    index: number,
    length: number,
  ): number {
    const { server } = this.keys.key;
    this.counters.addKey(index, KEY_OUTCOME.Server);
    if (server === state.self) {
      batch.length[i] = length;
      return VERDICT.AcceptNamed;
    }
    const { version } = this.classifier.packet;
    return wrap(state, batch, i, length, version, server, 0, 0, VERDICT.ForwardNamed);
  }

  /** First fragments are remembered as they ended; later ones end alike. */
  private concludeFragments(state: PathState, batch: PacketBatch): void {
    const { fragments, classifier, now } = this;
    const { memory } = fragments;
    for (let f = 0; f < fragments.firstCount; f++) {
      const i = fragments.firstSlots[f];
      const entry = fragments.firstEntries[f];
      const sent = batch.action[i] === ACTION.Send;
      const hopWord = sent ? batch.data.getInt32(batch.offset[i] + HOP_WORD_AT) : 0;
      memory.verdict[entry] = batch.verdict[i];
      memory.trafficset[entry] = batch.trafficset[i];
      memory.flowHash[entry] = batch.flowHash[i];
      memory.nextHop[entry] = sent ? batch.nextHop[i] : 0;
      memory.hop[entry] = (hopWord & 0xff) === 0 ? 0 : batch.data.getInt32(batch.offset[i] + OVERHEAD);
      memory.hopIndex[entry] = hopWord >>> 8;
    }
    for (let f = 0; f < fragments.laterCount; f++) {
      const i = fragments.laterSlots[f];
      const entry = fragments.find(classifier, state, batch, i, batch.offset[i], now);
      if (entry < 0) {
        const kind = classifier.classifyUnknown(state);
        batch.trafficset[i] = classifier.trafficset;
        this.conclude(batch, i, verdictOfClass(kind));
        continue;
      }
      const { packet } = classifier;
      batch.trafficset[i] = memory.trafficset[entry];
      batch.flowHash[i] = memory.flowHash[entry];
      batch.length[i] = packet.end - packet.offset;
      const verdict = memory.verdict[entry];
      const destination = memory.nextHop[entry];
      const { version } = packet;
      this.conclude(
        batch,
        i,
        destination === 0
          ? verdict
          : wrap(
              state,
              batch,
              i,
              batch.length[i],
              version,
              destination,
              memory.hop[entry],
              memory.hopIndex[entry],
              verdict,
            ),
      );
    }
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
    case PACKET_CLASS.UnknownFragment:
      return VERDICT.DropFragmentUnknown;
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
