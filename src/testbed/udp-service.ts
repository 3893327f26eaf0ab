import { createHash } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import type { Endpoint } from './client-protocol.js';
import { writeJsonLine } from './json-lines.js';

/**
 * A UDP service with flows, made as a load balancer with second hops wants it: the first datagram of a client makes a
 * socket that is connected to that client, and takes the rest of the flow. By its connected socket the node beside it
 * sees which flows live here. All its sockets share the VIP and the port, so that answers come from there.
 *
 *   request   `TOKEN ANYTHING`                          one datagram of any length
 *   answer    `SERVER COUNT TOKEN LENGTH SHA256\n`      COUNT: how many datagrams this flow has had, LENGTH and SHA256
 *                                                       those of the request
 */

/** A flow without datagrams for so many seconds is forgotten, as UDP has no other end. */
export const IDLE_S = 300;

interface Flow {
  readonly socket: Socket;
  /** When the socket is connected. */
  readonly ready: Promise<void>;
  readonly idle: NodeJS.Timeout;
  count: number;
}

export class UdpService {
  private readonly flows = new Map<string, Flow>();
  private listener: Socket | null = null;

  constructor(
    private readonly name: string,
    /** Port 0: any that is free. */
    private local: Endpoint,
  ) {}

  /** Resolves when datagrams are taken. @returns where */
  async listen(): Promise<Endpoint> {
    this.listener = await this.bind();
    this.local = { address: this.local.address, port: this.listener.address().port };
    return this.local;
  }

  close(): void {
    this.listener?.close();
    for (const key of this.flows.keys()) this.end(key);
  }

  /** A socket at the service's address; whatever reaches it is answered by the flow that it belongs to. */
  private async bind(socket = this.newSocket()): Promise<Socket> {
    const { address, port } = this.local;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address, port }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return socket;
  }

  private newSocket(): Socket {
    const socket = createSocket({ type: isIPv4(this.local.address) ? 'udp4' : 'udp6', reuseAddr: true });
    // Before it is connected, a flow's socket may get datagrams of other clients: they go by where they are from.
    socket.on('message', (message, from) => this.take(message, from));
    return socket;
  }

  private take(message: Buffer, from: RemoteInfo): void {
    const key = keyOf(from);
    const flow = this.flows.get(key) ?? this.begin(from);
    flow.idle.refresh();
    const token = message.toString('latin1').split(/\s/, 1)[0];
    const digest = createHash('sha256').update(message).digest('hex');
    const answer = `${this.name} ${++flow.count} ${token} ${message.length} ${digest}\n`;
    flow.ready.then(
      () => {
        if (this.flows.get(key) === flow) flow.socket.send(answer);
      },
      () => this.end(key),
    );
  }

  private begin(from: RemoteInfo): Flow {
    const key = keyOf(from);
    const socket = this.newSocket();
    const ready = this.bind(socket).then(() => connect(socket, from));
    const idle = setTimeout(() => this.end(key), 1000 * IDLE_S);
    const flow: Flow = { socket, ready, idle, count: 0 };
    this.flows.set(key, flow);
    ready.then(
      // The client is gone: its kernel says so.
      () => socket.on('error', () => this.end(key)),
      () => {},
    );
    return flow;
  }

  private end(key: string): void {
    const flow = this.flows.get(key);
    if (flow === undefined) return;
    this.flows.delete(key);
    clearTimeout(flow.idle);
    flow.socket.close();
  }
}

function connect(socket: Socket, { port, address }: RemoteInfo): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(port, address, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

const keyOf = ({ address, port }: RemoteInfo): string => `${address} ${port}`;

/** The service's process: says when it is ready, and goes on until it is killed. @param args port, then addresses */
export async function serveUdpUntilKilled(name: string, args: readonly string[]): Promise<void> {
  const [port, ...addresses] = args;
  await Promise.all(
    addresses.map((address) => new UdpService(name, { address, port: Number(port) }).listen()),
  );
  writeJsonLine(process.stdout, { ready: name });
}
