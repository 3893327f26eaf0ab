import type { Flow } from '../flow/flow.js';
import { IP_PROTOCOL_TCP } from '../wire/ip.js';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../wire/tcp.js';
import { type SocketLookup, SocketQueries, SocketState, TUPLE_SIZE } from './sockets.js';
import type { TrafficsetState } from './state.js';
import { Verdict } from './verdict.js';

/** Returned by {@link Owner.decide} for a packet that waits for its socket lookup. */
export const PENDING = 0;

/**
 * The redirector's decision, shared by both stages: is this packet taken in here, or does it belong to the second
 * hop? What the packet alone answers is answered at once; the rest is asked of the sockets together, once per batch.
 *
 * Source: "Unimog - Cloudflare's edge load balancer" (2020), after Beamer's daisy chaining (NSDI 2018).
 */
export class Owner {
  readonly queries: SocketQueries;
  private readonly sequence: Uint32Array;
  private readonly tcpFlags: Uint8Array;
  private readonly quoted: Uint8Array;
  /** Slot of the batch that each query is for. */
  readonly slot: Int32Array;
  private readonly syn = new SocketQueries(1);

  constructor(
    private readonly sockets: SocketLookup,
    capacity: number,
  ) {
    this.queries = new SocketQueries(capacity);
    this.sequence = new Uint32Array(capacity);
    this.tcpFlags = new Uint8Array(capacity);
    this.quoted = new Uint8Array(capacity);
    this.slot = new Int32Array(capacity);
  }

  /** Forgets the last batch. */
  begin(): void {
    this.queries.count = 0;
  }

  /**
   * @param nextHop where the packet would go from here, 0 when nowhere
   * @param self this server's DIP
   * @param forwardSyn 1 when the wrapper asks that a SYN goes on as well
   *   (it then goes there unasked)
   * @returns a verdict, or PENDING after noting the question for `slot`
   */
  decide(
    flow: Flow,
    trafficset: TrafficsetState,
    nextHop: number,
    self: number,
    slot: number,
    forwardSyn: number,
  ): number {
    const goesOn = nextHop !== 0 && nextHop !== self && trafficset.twoSlots === 1;
    if (flow.protocol === IP_PROTOCOL_TCP && (flow.tcpFlags & TCP_SYN) !== 0) {
      if (goesOn && forwardSyn === 1) return Verdict.Redirect;
      writeQuery(this.syn, 0, flow);
      this.sockets.synAccepted(this.syn, 0, flow.sequence);
      return Verdict.AcceptSyn;
    }
    if (!goesOn) {
      if (flow.quoted === 1) return Verdict.AcceptIcmpError;
      return nextHop === self ? Verdict.AcceptSelf : Verdict.AcceptLastHop;
    }

    const index = this.queries.count++;
    writeQuery(this.queries, index, flow);
    this.sequence[index] = flow.sequence;
    this.tcpFlags[index] = flow.tcpFlags;
    this.quoted[index] = flow.quoted;
    this.slot[index] = slot;
    return PENDING;
  }

  /** Asks all noted questions. Afterwards {@link verdictOf} has the answers. */
  resolve(): void {
    if (this.queries.count > 0) this.sockets.resolve(this.queries);
  }

  verdictOf(index: number): number {
    const state = this.queries.state[index];
    if (state === SocketState.Established) {
      return this.quoted[index] === 1 ? Verdict.AcceptIcmpError : Verdict.AcceptEstablished;
    }
    if (state === SocketState.None) return Verdict.Redirect;
    if (state === SocketState.Failed) return Verdict.DropLookupFailed;
    // Only a listener here. A bare ACK may still be ours, when the listener answered the SYN with a cookie.
    if (
      this.queries.protocol[index] === IP_PROTOCOL_TCP &&
      (this.tcpFlags[index] & (TCP_ACK | TCP_FIN | TCP_RST | TCP_SYN)) === TCP_ACK &&
      this.sockets.completesCookie(this.queries, index, this.sequence[index])
    ) {
      return Verdict.AcceptSynCookie;
    }
    return Verdict.Redirect;
  }
}

/** Writes the flow's tuple; the destination (the VIP) is the local side. */
function writeQuery(queries: SocketQueries, index: number, flow: Flow): void {
  const out = queries.tuplesData;
  const at = index * TUPLE_SIZE;
  const data = flow.data;
  queries.version[index] = flow.version;
  queries.protocol[index] = flow.protocol;
  out.setInt32(at, data.getInt32(flow.destinationOffset));
  out.setInt32(at + 16, data.getInt32(flow.sourceOffset));
  if (flow.version === 4) {
    out.setInt32(at + 4, 0);
    out.setInt32(at + 8, 0);
    out.setInt32(at + 12, 0);
    out.setInt32(at + 20, 0);
    out.setInt32(at + 24, 0);
    out.setInt32(at + 28, 0);
  } else {
    out.setInt32(at + 4, data.getInt32(flow.destinationOffset + 4));
    out.setInt32(at + 8, data.getInt32(flow.destinationOffset + 8));
    out.setInt32(at + 12, data.getInt32(flow.destinationOffset + 12));
    out.setInt32(at + 20, data.getInt32(flow.sourceOffset + 4));
    out.setInt32(at + 24, data.getInt32(flow.sourceOffset + 8));
    out.setInt32(at + 28, data.getInt32(flow.sourceOffset + 12));
  }
  out.setUint16(at + 32, flow.destinationPort);
  out.setUint16(at + 34, flow.sourcePort);
}
