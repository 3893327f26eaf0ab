import { type SocketQueries, SocketState, TUPLE_SIZE } from '../path/sockets.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import { AF_INET, AF_INET6, NativeMemory } from './libc.js';
import {
  MESSAGES,
  MESSAGES_LOST,
  NetlinkSocket,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_FLAGS,
  NLMSG_PAYLOAD,
  NLMSG_SEQUENCE,
  NLMSG_TYPE,
  SOCK_DIAG_BY_FAMILY,
} from './netlink.js';
import type { DurableLookup } from './socket-ends.js';
import { Errno, MissingMeansError } from './system-error.js';

/** `struct nlmsghdr` and `struct inet_diag_req_v2`. */
const REQUEST_SIZE = 72;
const FAMILY = 16;
const PROTOCOL = 17;
const STATES = 20;
const SOURCE_PORT = 24;
const DESTINATION_PORT = 26;
const SOURCE = 28;
const DESTINATION = 44;
const COOKIE = 64;
/** `idiag_state` and `idiag_cookie` of the answer, a `struct inet_diag_msg`. */
const STATE = 17;
const ANSWER_COOKIE = 60;

const TCP_ESTABLISHED = 1;
const TCP_CLOSE_WAIT = 8;
const TCP_LISTEN = 10;

const RECEIVE_BUFFER = 1 << 20;
/** Receive calls for one round of answers: one is the rule, more follow lost or late messages. */
const MAX_CALLS = 64;

/**
 * Asks the kernel, by exact NETLINK_SOCK_DIAG lookups, for the sockets of this network namespace. Up to 64 requests
 * travel in one buffer; the kernel has answered them all when the send returns, so nothing is waited for.
 */
export class KernelSockets implements DurableLookup {
  /**
   * After `resolve`: the cookie of each connected TCP socket. Handshakes in progress and TIME_WAIT are found as well,
   * but vanish without an event: theirs are 0.
   */
  cookies: Uint32Array = new Uint32Array(2 * MESSAGES);
  private readonly socket: NetlinkSocket;
  private readonly requests = new NativeMemory(MESSAGES * REQUEST_SIZE);
  private sequence = 1;

  private constructor(socket: NetlinkSocket) {
    this.socket = socket;
    for (let i = 0; i < MESSAGES; i++) {
      const at = i * REQUEST_SIZE;
      const { data } = this.requests;
      data.setUint32(at, REQUEST_SIZE, true);
      data.setUint16(at + NLMSG_TYPE, SOCK_DIAG_BY_FAMILY, true);
      data.setUint16(at + NLMSG_FLAGS, NLM_F_REQUEST, true);
      data.setUint32(at + STATES, 0xffffffff);
      // INET_DIAG_NOCOOKIE: whichever socket has the tuple.
      data.setUint32(at + COOKIE, 0xffffffff);
      data.setUint32(at + COOKIE + 4, 0xffffffff);
    }
  }

  /**
   * Throws an Error when the kernel cannot look up TCP and UDP sockets. That must be known beforehand: a kernel
   * without these modules answers every lookup with "no such socket".
   */
  static open(): KernelSockets {
    const sockets = new KernelSockets(new NetlinkSocket(0, RECEIVE_BUFFER));
    for (const [protocol, name] of [
      [IP_PROTOCOL_TCP, 'tcp_diag'],
      [IP_PROTOCOL_UDP, 'udp_diag'],
    ] as const) {
      if (!sockets.supports(protocol)) {
        sockets.close();
        throw new MissingMeansError(`This kernel cannot look up sockets by address: modprobe ${name}`);
      }
    }
    return sockets;
  }

  /** Whether the kernel has a handler for the protocol: asks for a list of sockets in no state at all. */
  supports(protocol: number): boolean {
    const request = new NativeMemory(REQUEST_SIZE);
    const sequence = this.sequence++;
    request.data.setUint32(0, REQUEST_SIZE, true);
    request.data.setUint16(NLMSG_TYPE, SOCK_DIAG_BY_FAMILY, true);
    request.data.setUint16(NLMSG_FLAGS, NLM_F_REQUEST | NLM_F_DUMP, true);
    request.data.setUint32(NLMSG_SEQUENCE, sequence, true);
    request.data.setUint8(FAMILY, AF_INET);
    request.data.setUint8(PROTOCOL, protocol);
    if (!this.socket.request(request, REQUEST_SIZE)) return false;
    const { data, slotSize } = this.socket;
    for (let count = this.socket.receive(); count !== 0; count = this.socket.receive()) {
      for (let at = 0; at < count * slotSize; at += slotSize) {
        if (data.getUint32(at + NLMSG_SEQUENCE, true) !== sequence) continue;
        const type = data.getUint16(at + NLMSG_TYPE, true);
        if (type === NLMSG_ERROR) return false;
        if (type === NLMSG_DONE) return data.getInt32(at + NLMSG_PAYLOAD, true) === 0;
      }
    }
    return false;
  }

  resolve(queries: SocketQueries): void {
    if (this.cookies.length < 2 * queries.capacity) this.cookies = new Uint32Array(2 * queries.capacity);
    for (let from = 0; from < queries.count; from += MESSAGES) {
      this.ask(queries, from, Math.min(MESSAGES, queries.count - from));
    }
  }

  /** The kernel needs no telling. */
  synAccepted(): void {}

  /** The kernel does not tell which SYNs its listeners answered: see {@link CachedSockets}. */
  completesCookie(): boolean {
    return false;
  }

  delivered(): void {}

  close(): void {
    this.socket.close();
  }

  private ask(queries: SocketQueries, from: number, count: number): void {
    const base = this.sequence;
    this.sequence = (base + count) >>> 0;
    for (let i = 0; i < count; i++) {
      queries.state[from + i] = SocketState.Failed;
      this.cookies[2 * (from + i)] = 0;
      this.cookies[2 * (from + i) + 1] = 0;
      this.writeRequest(i, (base + i) >>> 0, queries, from + i);
    }
    if (!this.socket.request(this.requests, count * REQUEST_SIZE)) return;
    let missing = count;
    for (let calls = 0; missing > 0 && calls < MAX_CALLS; calls++) {
      const messages = this.socket.receive();
      if (messages === MESSAGES_LOST) continue;
      // No more to come: what is not answered by now stays Failed.
      if (messages === 0) return;
      for (let i = 0; i < messages; i++) {
        const at = i * this.socket.slotSize;
        const index = (this.socket.data.getUint32(at + NLMSG_SEQUENCE, true) - base) >>> 0;
        // An answer to an earlier round, which that round did not get.
        if (index >= count) continue;
        this.takeAnswer(at, queries, from + index);
        missing--;
      }
    }
  }

  private writeRequest(slot: number, sequence: number, queries: SocketQueries, index: number): void {
    const out = this.requests.data;
    const at = slot * REQUEST_SIZE;
    const tuple = index * TUPLE_SIZE;
    const tuples = queries.tuplesData;
    const protocol = queries.protocol[index];
    out.setUint32(at + NLMSG_SEQUENCE, sequence, true);
    out.setUint8(at + FAMILY, queries.version[index] === 4 ? AF_INET : AF_INET6);
    out.setUint8(at + PROTOCOL, protocol);
    // For UDP the kernel takes source and destination as of a packet that arrives, for TCP as the socket's own.
    const swapped = protocol === IP_PROTOCOL_UDP;
    const local = at + (swapped ? DESTINATION : SOURCE);
    const remote = at + (swapped ? SOURCE : DESTINATION);
    for (let word = 0; word < 16; word += 4) {
      out.setInt32(local + word, tuples.getInt32(tuple + word));
      out.setInt32(remote + word, tuples.getInt32(tuple + 16 + word));
    }
    out.setUint16(at + (swapped ? DESTINATION_PORT : SOURCE_PORT), tuples.getUint16(tuple + 32));
    out.setUint16(at + (swapped ? SOURCE_PORT : DESTINATION_PORT), tuples.getUint16(tuple + 34));
  }

  private takeAnswer(at: number, queries: SocketQueries, index: number): void {
    const { data } = this.socket;
    const type = data.getUint16(at + NLMSG_TYPE, true);
    if (type === SOCK_DIAG_BY_FAMILY) {
      const state = data.getUint8(at + STATE);
      if (queries.protocol[index] === IP_PROTOCOL_UDP) {
        queries.state[index] = state === TCP_ESTABLISHED ? SocketState.Established : SocketState.Listening;
        return;
      }
      queries.state[index] = state === TCP_LISTEN ? SocketState.Listening : SocketState.Established;
      if (state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT) {
        this.cookies[2 * index] = data.getUint32(at + ANSWER_COOKIE, true);
        this.cookies[2 * index + 1] = data.getUint32(at + ANSWER_COOKIE + 4, true);
      }
    } else if (type === NLMSG_ERROR && data.getInt32(at + NLMSG_PAYLOAD, true) === -Errno.ENOENT) {
      queries.state[index] = SocketState.None;
    }
  }
}
