import { type SocketLookup, type SocketQueries, SocketState, TUPLE_SIZE } from '../path/sockets.js';
import { parseIpv4, parseIpv6 } from '../table/address.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';

/** A connected socket, as people write it. Addresses of one family. */
export interface ListedFlow {
  readonly protocol: 'tcp' | 'udp';
  /** The VIP's side. */
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
}

export interface ListedListener {
  readonly protocol: 'tcp' | 'udp';
  /** Every address of both families when not given. */
  readonly address?: string;
  /** Every port when not given. */
  readonly port?: number;
  /** Answers SYNs with cookies: every bare ACK that finds it completes a handshake. */
  readonly cookies?: boolean;
}

export interface ListedSocketsOptions {
  /** A delivered SYN that finds a listener makes a connection, as in a kernel. For replay of whole flows. */
  readonly followSyns?: boolean;
  /** At most this many connections are followed; the older half is forgotten when they are more. Default: no limit. */
  readonly followLimit?: number;
}

/** Sockets from a list instead of a kernel: for replay and tests. Plain maps; not for the hot path. */
export class ListedSockets implements SocketLookup {
  private readonly flows = new Set<string>();
  private readonly listeners = new Map<string, ListedListener>();
  /** Connections that came to be. Two halves, so that to forget the oldest is to drop one of them. */
  private recent = new Set<string>();
  private earlier = new Set<string>();
  private readonly followSyns: boolean;
  private readonly followLimit: number;
  /** Connections that were forgotten because more came than are followed. */
  forgotten = 0;
  /** Connections that exist as soon as the batch has been delivered. */
  private readonly coming: string[] = [];

  constructor(options: ListedSocketsOptions = {}) {
    this.followSyns = options.followSyns ?? false;
    this.followLimit = options.followLimit ?? Number.POSITIVE_INFINITY;
  }

  add(flow: ListedFlow): this {
    this.flows.add(flowKey(flow));
    return this;
  }

  /** @returns whether it was there */
  remove(flow: ListedFlow): boolean {
    const key = flowKey(flow);
    const listed = this.flows.delete(key);
    return this.recent.delete(key) || this.earlier.delete(key) || listed;
  }

  listen(listener: ListedListener): this {
    this.listeners.set(listenerKeyOf(listener), listener);
    return this;
  }

  /** @returns whether it was there */
  unlisten(listener: ListedListener): boolean {
    return this.listeners.delete(listenerKeyOf(listener));
  }

  resolve(queries: SocketQueries): void {
    for (let i = 0; i < queries.count; i++) {
      const key = queryKey(queries, i);
      queries.state[i] = this.has(key)
        ? SocketState.Established
        : this.listenerFor(queries, i) === undefined
          ? SocketState.None
          : SocketState.Listening;
    }
  }

  synAccepted(queries: SocketQueries, index: number): void {
    const listener = this.listenerFor(queries, index);
    if (listener !== undefined && listener.cookies !== true) this.expect(queries, index);
  }

  completesCookie(queries: SocketQueries, index: number): boolean {
    if (this.listenerFor(queries, index)?.cookies !== true) return false;
    this.expect(queries, index);
    return true;
  }

  delivered(): void {
    for (const flow of this.coming) {
      if (this.earlier.has(flow)) continue;
      this.recent.add(flow);
      if (this.recent.size < this.followLimit / 2) continue;
      this.forgotten += this.earlier.size;
      this.earlier = this.recent;
      this.recent = new Set();
    }
    this.coming.length = 0;
  }

  /** The same answers, and nothing learned from the packets that ask: to try what a packet would do. */
  observer(): SocketLookup {
    return {
      resolve: (queries) => this.resolve(queries),
      synAccepted: () => {},
      completesCookie: (queries, index) => this.listenerFor(queries, index)?.cookies === true,
      delivered: () => {},
    };
  }

  private has(key: string): boolean {
    return this.flows.has(key) || this.recent.has(key) || this.earlier.has(key);
  }

  private expect(queries: SocketQueries, index: number): void {
    if (this.followSyns) this.coming.push(queryKey(queries, index));
  }

  private listenerFor(queries: SocketQueries, index: number): ListedListener | undefined {
    const port = queries.tuplesData.getUint16(index * TUPLE_SIZE + 32);
    const protocol = queries.protocol[index];
    const local = addressKey(queries, index, index * TUPLE_SIZE);
    return (
      this.listeners.get(listenerKey(protocol, local, port)) ??
      this.listeners.get(listenerKey(protocol, ANY, port)) ??
      this.listeners.get(listenerKey(protocol, local, ANY)) ??
      this.listeners.get(listenerKey(protocol, ANY, ANY))
    );
  }
}

const ANY = '*';

function protocolNumber(protocol: 'tcp' | 'udp'): number {
  return protocol === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
}

/** One spelling per address: its words in hexadecimal. */
function parsedKey(address: string): string {
  const words = address.includes(':') ? parseIpv6(address) : [parseIpv4(address)];
  return words.map((word) => word.toString(16)).join(':');
}

function addressKey(queries: SocketQueries, index: number, at: number): string {
  const words: string[] = [];
  const size = queries.version[index] === 4 ? 4 : 16;
  for (let byte = 0; byte < size; byte += 4) {
    words.push(queries.tuplesData.getUint32(at + byte).toString(16));
  }
  return words.join(':');
}

function flowKey(flow: ListedFlow): string {
  const local = `${parsedKey(flow.local)} ${flow.localPort}`;
  return `${protocolNumber(flow.protocol)} ${local} ${parsedKey(flow.remote)} ${flow.remotePort}`;
}

function queryKey(queries: SocketQueries, index: number): string {
  const at = index * TUPLE_SIZE;
  const local = `${addressKey(queries, index, at)} ${queries.tuplesData.getUint16(at + 32)}`;
  const remote = `${addressKey(queries, index, at + 16)} ${queries.tuplesData.getUint16(at + 34)}`;
  return `${queries.protocol[index]} ${local} ${remote}`;
}

function listenerKeyOf(listener: ListedListener): string {
  const address = listener.address === undefined ? ANY : parsedKey(listener.address);
  return listenerKey(protocolNumber(listener.protocol), address, listener.port ?? ANY);
}

function listenerKey(protocol: number, address: string, port: number | string): string {
  return `${protocol} ${address} ${port}`;
}
