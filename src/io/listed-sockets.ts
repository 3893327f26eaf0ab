import { type SocketLookup, SocketQueries, SocketState, TUPLE_SIZE } from '../path/sockets.js';
import { parseIpv4, parseIpv6 } from '../table/address.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import { FlowSet } from './flow-set.js';

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

/** Sockets from a list instead of a kernel: for replay and tests. */
export class ListedSockets implements SocketLookup {
  private readonly flows = new FlowSet();
  /** The most specific first. */
  private listeners: readonly Listener[] = [];
  /** Connections that came to be. Two halves, so that to forget the oldest is to drop one of them. */
  private recent = new FlowSet();
  private earlier = new FlowSet();
  private readonly followSyns: boolean;
  private readonly followLimit: number;
  /** Connections that were forgotten because more came than are followed. */
  forgotten = 0;
  /** Connections that exist as soon as the batch has been delivered. */
  private coming = new FlowSet();

  constructor(options: ListedSocketsOptions = {}) {
    this.followSyns = options.followSyns ?? false;
    this.followLimit = options.followLimit ?? Number.POSITIVE_INFINITY;
  }

  add(flow: ListedFlow): this {
    this.flows.add(queryOf(flow), 0);
    return this;
  }

  /** @returns whether it was there */
  remove(flow: ListedFlow): boolean {
    const query = queryOf(flow);
    const listed = this.flows.delete(query, 0);
    return this.recent.delete(query, 0) || this.earlier.delete(query, 0) || listed;
  }

  listen(listener: ListedListener): this {
    this.unlisten(listener);
    this.listeners = [...this.listeners, compileListener(listener)].sort((a, b) => b.specific - a.specific);
    return this;
  }

  /** @returns whether it was there */
  unlisten(listener: ListedListener): boolean {
    const { key } = compileListener(listener);
    const before = this.listeners.length;
    this.listeners = this.listeners.filter((other) => other.key !== key);
    return this.listeners.length < before;
  }

  resolve(queries: SocketQueries): void {
    for (let i = 0; i < queries.count; i++) {
      queries.state[i] = this.has(queries, i)
        ? SocketState.Established
        : this.listenerFor(queries, i) === undefined
          ? SocketState.None
          : SocketState.Listening;
    }
  }

  synAccepted(queries: SocketQueries, index: number): void {
    const listener = this.listenerFor(queries, index);
    if (listener !== undefined && !listener.cookies) this.expect(queries, index);
  }

  completesCookie(queries: SocketQueries, index: number): boolean {
    if (this.listenerFor(queries, index)?.cookies !== true) return false;
    this.expect(queries, index);
    return true;
  }

  delivered(): void {
    if (this.coming.size === 0) return;
    this.coming.each((one) => this.follow(one));
    this.coming.clear();
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

  private has(queries: SocketQueries, index: number): boolean {
    return (
      this.flows.has(queries, index) || this.recent.has(queries, index) || this.earlier.has(queries, index)
    );
  }

  private expect(queries: SocketQueries, index: number): void {
    if (this.followSyns) this.coming.add(queries, index);
  }

  private follow(query: SocketQueries): void {
    if (this.earlier.has(query, 0)) return;
    this.recent.add(query, 0);
    if (this.recent.size < this.followLimit / 2) return;
    this.forgotten += this.earlier.size;
    this.earlier = this.recent;
    this.recent = new FlowSet();
  }

  private listenerFor(queries: SocketQueries, index: number): Listener | undefined {
    const { listeners } = this;
    for (let i = 0; i < listeners.length; i++) {
      if (takes(listeners[i], queries, index)) return listeners[i];
    }
    return undefined;
  }
}

/** A listener as the lookup wants it. */
interface Listener {
  /** One spelling for what is the same listener. */
  readonly key: string;
  /** 0 for any. */
  readonly version: number;
  readonly protocol: number;
  /** As in a query's tuple: 16 bytes. */
  readonly address: Uint8Array;
  /** -1 for any. */
  readonly port: number;
  readonly cookies: boolean;
  /** Higher wins: an address counts more than a port. */
  readonly specific: number;
}

function compileListener({ protocol, address, port, cookies }: ListedListener): Listener {
  const version = address === undefined ? 0 : versionOf(address);
  const bytes = address === undefined ? new Uint8Array(16) : addressBytes(address);
  const specific = (port === undefined ? 0 : 2) + (address === undefined ? 0 : 1);
  return {
    key: `${protocol} ${version} ${bytes.join('.')} ${port ?? -1}`,
    version,
    protocol: protocolNumber(protocol),
    address: bytes,
    port: port ?? -1,
    cookies: cookies === true,
    specific,
  };
}

function takes(listener: Listener, queries: SocketQueries, index: number): boolean {
  if (listener.protocol !== queries.protocol[index]) return false;
  const at = index * TUPLE_SIZE;
  if (listener.port >= 0 && listener.port !== queries.tuplesData.getUint16(at + 32)) return false;
  if (listener.version === 0) return true;
  if (listener.version !== queries.version[index]) return false;
  for (let byte = 0; byte < 16; byte++) {
    if (listener.address[byte] !== queries.tuples[at + byte]) return false;
  }
  return true;
}

function queryOf(flow: ListedFlow): SocketQueries {
  const query = new SocketQueries(1);
  query.version[0] = versionOf(flow.local);
  query.protocol[0] = protocolNumber(flow.protocol);
  query.tuples.set(addressBytes(flow.local), 0);
  query.tuples.set(addressBytes(flow.remote), 16);
  query.tuplesData.setUint16(32, flow.localPort);
  query.tuplesData.setUint16(34, flow.remotePort);
  return query;
}

function protocolNumber(protocol: 'tcp' | 'udp'): number {
  return protocol === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
}

function versionOf(address: string): number {
  return address.includes(':') ? 6 : 4;
}

/** 16 bytes; an IPv4 address is the first four of them. */
function addressBytes(address: string): Uint8Array {
  const words = versionOf(address) === 6 ? parseIpv6(address) : [parseIpv4(address)];
  const bytes = new Uint8Array(16);
  const data = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) data.setUint32(4 * index, word);
  return bytes;
}
