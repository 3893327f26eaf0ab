import { exchangePorts, type Flow } from '../flow/flow.js';
import { IP_PROTOCOL_TCP, OFFSET_BITS } from '../wire/ip.js';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../wire/tcp.js';
import { type SocketLookup, SocketQueries, SocketState, sameQuery, TUPLE_WORDS } from './sockets.js';
import { OwnerRule, type TrafficsetState } from './state.js';
import { Verdict } from './verdict.js';

/** Returned by {@link Owner.decide} for a packet that waits for its socket lookup. */
export const PENDING = 0;

// Constants of this module: V8 folds them into the code, where it loads imported and exported ones at every use
// (native-notes/benchmarks.md).
const VERDICT = Verdict;
const SOCKET_STATE = SocketState;
const WAITS = PENDING;
const OFFSETS = OFFSET_BITS;
const TCP = IP_PROTOCOL_TCP;
const SYN = TCP_SYN;
const WORDS = TUPLE_WORDS;
const BY_SESSIONS = OwnerRule.Sessions;
/** Beyond the TCP flags. */
const MARK_QUOTED = 0x100;

/**
 * The redirector's decision, shared by both stages: is this packet taken in here, or does it belong to the second
 * hop? What the packet alone answers is answered at once; the rest is asked of the sockets together, once per batch.
 *
 * Source: "Unimog - Cloudflare's edge load balancer" (2020), after Beamer's daisy chaining (NSDI 2018).
 */
export class Owner {
  readonly queries: SocketQueries;
  private readonly sequence: Int32Array;
  /** TCP flags, and MARK_QUOTED for a flow that an ICMP error quotes, which has none. */
  private readonly marks: Uint16Array;
  /** Slot of the batch that each query is for. */
  readonly slot: Int32Array;
  private readonly syn = new SocketQueries(1);
  /** Queries of this batch whose packet completed a SYN-cookie handshake. */
  private readonly completed: Int32Array;
  private completedCount = 0;

  constructor(
    private readonly sockets: SocketLookup,
    capacity: number,
  ) {
    this.queries = new SocketQueries(capacity);
    this.sequence = new Int32Array(capacity);
    this.marks = new Uint16Array(capacity);
    this.slot = new Int32Array(capacity);
    this.completed = new Int32Array(capacity);
  }

  /** Forgets the last batch. */
  begin(): void {
    this.queries.count = 0;
    this.completedCount = 0;
  }

  /**
   * @param nextHop where the packet would go from here, 0 when nowhere; @param self this server's DIP: both as int32
   * @param forwardSyn 1 when the wrapper asks that a SYN goes on as well
   *   (it then goes there unasked)
   * @param isSession 1 when the packet is of a session that the service here has; only where sessions decide
   * @returns a verdict (Redirect is one for both stages), or PENDING after noting the question for `slot`
   */
  decide(
    flow: Flow,
    trafficset: TrafficsetState,
    nextHop: number,
    self: number,
    slot: number,
    forwardSyn: number,
    isSession: number,
  ): number {
    const goesOn = nextHop !== 0 && nextHop !== self && trafficset.twoSlots === 1;
    if (trafficset.ownerRule === BY_SESSIONS) {
      if (goesOn && isSession === 0) return VERDICT.Redirect;
      if (isSession === 1 && flow.quoted === 0) return VERDICT.AcceptSession;
    }
    return this.decideBySockets(
      flow.data,
      flow.version,
      flow.protocol,
      flow.destinationOffset,
      flow.sourceOffset,
      flow.ports,
      flow.tcpFlags,
      flow.sequence,
      flow.quoted,
      goesOn && isSession === 0,
      nextHop === self,
      slot,
      forwardSyn,
    );
  }

  /**
   * {@link decide}, when sessions have no say, of a flow whose fields are here one by one.
   * @param local where the VIP lies in `data`; @param remote where the client's address does
   * @param ports as in `Flow.ports`
   * @param goesOn whether there is a next hop besides this server; @param isSelf whether this server is the next hop
   */
  decideBySockets(
    data: DataView,
    version: number,
    protocol: number,
    local: number,
    remote: number,
    ports: number,
    tcpFlags: number,
    sequence: number,
    quoted: number,
    goesOn: boolean,
    isSelf: boolean,
    slot: number,
    forwardSyn: number,
  ): number {
    if (protocol === TCP && (tcpFlags & SYN) !== 0) {
      if (goesOn && forwardSyn === 1) return VERDICT.Redirect;
      writeQuery(this.syn, 0, data, version, protocol, local, remote, ports);
      this.sockets.synAccepted(this.syn, 0, sequence);
      return VERDICT.AcceptSyn;
    }
    if (!goesOn) {
      if (quoted === 1) return VERDICT.AcceptIcmpError;
      return isSelf ? VERDICT.AcceptSelf : VERDICT.AcceptLastHop;
    }

    const index = this.queries.count++;
    writeQuery(this.queries, index, data, version, protocol, local, remote, ports);
    this.sequence[index] = sequence;
    this.marks[index] = quoted === 1 ? MARK_QUOTED : tcpFlags;
    this.slot[index] = slot;
    return WAITS;
  }

  /** Asks all noted questions. Afterwards {@link verdictOf} has the answers. */
  resolve(): void {
    if (this.queries.count > 0) this.sockets.resolve(this.queries);
  }

  /** To be asked for in the order of the queries. */
  verdictOf(index: number): number {
    const state = this.queries.state[index];
    if (state === SOCKET_STATE.Established) {
      return this.marks[index] === MARK_QUOTED ? VERDICT.AcceptIcmpError : VERDICT.AcceptEstablished;
    }
    if (state === SOCKET_STATE.None) return VERDICT.Redirect;
    if (state === SOCKET_STATE.Failed) return VERDICT.DropLookupFailed;
    // Only a listener here. A bare ACK may still be ours, when the listener answered the SYN with a cookie.
    if (
      this.queries.protocol[index] === TCP &&
      (this.marks[index] & (TCP_ACK | TCP_FIN | TCP_RST | TCP_SYN)) === TCP_ACK &&
      this.sockets.completesCookie(this.queries, index, this.sequence[index])
    ) {
      this.completed[this.completedCount++] = index;
      return VERDICT.AcceptSynCookie;
    }
    // The connection may have come to be earlier in this very batch, after the question was answered.
    return this.wasCompleted(index) ? VERDICT.AcceptSynCookie : VERDICT.Redirect;
  }

  private wasCompleted(index: number): boolean {
    if (this.marks[index] === MARK_QUOTED) return false;
    for (let i = 0; i < this.completedCount; i++) {
      if (sameQuery(this.queries, this.completed[i], this.queries, index)) return true;
    }
    return false;
  }
}

/** Writes a flow's tuple; the destination (the VIP) is the local side. */
function writeQuery(
  queries: SocketQueries,
  index: number,
  data: DataView,
  version: number,
  protocol: number,
  localAt: number,
  remoteAt: number,
  ports: number,
): void {
  const { words } = queries;
  const local = localAt & OFFSETS;
  const remote = remoteAt & OFFSETS;
  const at = (index * WORDS) & OFFSETS;
  const before = queries.version[index];
  queries.version[index] = version;
  queries.protocol[index] = protocol;
  // Words are little-endian, read and written, so that the bytes stay in the packet's order.
  words[at] = data.getInt32(local, true);
  words[at + 4] = data.getInt32(remote, true);
  words[at + 8] = exchangePorts(ports);
  if (version === 6) {
    words[at + 1] = data.getInt32(local + 4, true);
    words[at + 2] = data.getInt32(local + 8, true);
    words[at + 3] = data.getInt32(local + 12, true);
    words[at + 5] = data.getInt32(remote + 4, true);
    words[at + 6] = data.getInt32(remote + 8, true);
    words[at + 7] = data.getInt32(remote + 12, true);
  } else if (before === 6) {
    // What an IPv6 tuple left; otherwise they are zero already.
    words[at + 1] = 0;
    words[at + 2] = 0;
    words[at + 3] = 0;
    words[at + 5] = 0;
    words[at + 6] = 0;
    words[at + 7] = 0;
  }
}
