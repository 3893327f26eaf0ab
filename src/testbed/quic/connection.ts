import { randomBytes } from 'node:crypto';
import type { Endpoint } from '../client-protocol.js';
import { CONTROL_STREAM, CONTROL_STREAM_START, isRequestStream, RequestBody } from './http3.js';
import type { Connection, Host, PathEvent } from './library.js';

/** What a server tells of a connection. Connection IDs are in hexadecimal. */
export interface ConnectionReport {
  /** The ID that the client chose for itself when it began: names the connection. */
  readonly client: string;
  /** The VIP and port that it came to. */
  readonly local: Endpoint;
  /** Where the client was, and where it is; the last is the current one. */
  readonly peers: readonly Place[];
  /** All that the server issued, in order; the first during the handshake. */
  readonly issued: readonly string[];
  /** Those of them that the client has put on packets with short headers, in order of first use. */
  readonly used: readonly string[];
  readonly established: boolean;
  /** Octets of the request's body that are here. */
  readonly received: number;
  /** SHA-256 of the request's body, in hexadecimal, when all of it is here. */
  readonly digest: string | null;
}

export interface Place extends Endpoint {
  /** Octets of the request's body that were here when the client came to be there. */
  readonly received: number;
}

/** What a connection is made of. */
export interface ConnectionInit {
  readonly quiche: Connection;
  /** A fresh connection ID, known from now on as this connection's. */
  readonly issueId: () => Buffer;
  /** From the address that the connection came to. */
  readonly send: (datagram: Uint8Array, to: Host) => void;
  /** What answers a request, once it is complete. */
  readonly response: Buffer;
  /** The client's connection ID, and the server's first one, in hexadecimal. */
  readonly client: string;
  readonly firstId: string;
  readonly local: Endpoint;
  readonly peer: Endpoint;
}

/** Larger than any datagram that quiche is set to send. */
const DATAGRAM = 1500;

/** A QUIC connection of a client, from the server's side: quiche's state, driven by datagrams and its timer. */
export class ServedConnection {
  private readonly quiche: Connection;
  private readonly issued: string[];
  private readonly used: string[] = [];
  private readonly retired = new Set<string>();
  private readonly peers: Place[];
  private readonly out = new Uint8Array(DATAGRAM);
  private readonly piece = Buffer.alloc(1 << 16);
  private readonly request = new RequestBody();
  private digest: string | null = null;
  /** What of the response is not with quiche yet, and the stream that it goes to. */
  private response: { readonly stream: number; rest: Buffer } | null = null;
  private established = false;
  private ended = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly init: ConnectionInit) {
    this.quiche = init.quiche;
    this.issued = [init.firstId];
    this.peers = [{ ...init.peer, received: 0 }];
  }

  /** @param id the destination connection ID of a short header; null for a long one */
  receive(datagram: Uint8Array, from: Endpoint, id: string | null): void {
    // A late packet with an ID that the client has retired: quiche would close the connection because of it.
    if (this.ended || (id !== null && this.retired.has(id))) return;
    const { address: host, port } = this.init.local;
    try {
      this.quiche.recv(datagram, { from: { host: from.address, port: from.port }, to: { host, port } });
    } catch {
      // A packet that does not fit the connection's state is dropped; quiche closes the connection where it must.
    }
    if (id !== null && !this.used.includes(id)) this.used.push(id);
    this.advance();
  }

  report(): ConnectionReport {
    return {
      client: this.init.client,
      local: this.init.local,
      peers: this.peers,
      issued: this.issued,
      used: this.used,
      established: this.established,
      received: this.request.received,
      digest: this.digest,
    };
  }

  private advance(): void {
    if (this.quiche.isEstablished()) {
      if (!this.established) {
        this.established = true;
        this.attempt(() => this.quiche.streamSend(CONTROL_STREAM, CONTROL_STREAM_START, false));
      }
      this.followPaths();
      this.attempt(() => this.issueIds());
      for (const stream of this.quiche.readable()) this.attempt(() => this.read(stream));
      this.respond();
    }
    this.attempt(() => this.flush());
    this.setTimer();
  }

  /**
   * A client may reset a stream or close the connection at any time. What quiche then refuses is left undone; what
   * becomes of the connection is its business.
   */
  private attempt(step: () => void): void {
    try {
      step();
    } catch {}
  }

  private followPaths(): void {
    for (;;) {
      // The package's types leave out that there may be none.
      const event = this.quiche.pathEventNext() as PathEvent | null;
      if (event === null) return;
      if (event.type === 'PeerMigrated') {
        const { received } = this.request;
        this.peers.push({ address: event.new.host, port: event.new.port, received });
      }
    }
  }

  /** As many as the client takes: one that moves on purpose needs an ID that nobody has seen. */
  private issueIds(): void {
    for (let id = this.quiche.retiredScidNext(); id !== null; id = this.quiche.retiredScidNext()) {
      this.retired.add(Buffer.from(id).toString('hex'));
    }
    while (this.quiche.sourceCidsLeft() > 0) {
      const id = this.init.issueId();
      const resetToken = BigInt(`0x${randomBytes(16).toString('hex')}`);
      this.quiche.newSourceCid(id, resetToken, false);
      this.issued.push(id.toString('hex'));
    }
  }

  private read(stream: number): void {
    for (;;) {
      const read = this.quiche.streamRecv(stream, this.piece);
      if (read === null) return;
      const [length, complete] = read;
      if (isRequestStream(stream)) {
        this.request.push(this.piece.subarray(0, length));
        if (complete && this.digest === null) {
          this.digest = this.request.digest();
          this.response = { stream, rest: this.init.response };
        }
      }
      if (complete) return;
    }
  }

  private respond(): void {
    const { response } = this;
    if (response === null || response.rest.length === 0) return;
    try {
      const taken = this.quiche.streamSend(response.stream, response.rest, true);
      response.rest = response.rest.subarray(taken ?? 0);
    } catch {
      // The client wants no more of it.
      this.response = null;
    }
  }

  private flush(): void {
    for (;;) {
      const made = this.quiche.send(this.out);
      if (made === null) return;
      const [length, { to }] = made;
      this.init.send(this.out.slice(0, length), to);
    }
  }

  private setTimer(): void {
    clearTimeout(this.timer);
    if (this.quiche.isClosed()) {
      this.ended = true;
      return;
    }
    const milliseconds = this.quiche.timeout();
    if (milliseconds === null) return;
    this.timer = setTimeout(() => {
      this.quiche.onTimeout();
      this.advance();
    }, milliseconds);
  }
}
