import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Between a client and a server on this machine: the connections of the one can be cut without the other's doing. */
export class CuttableProxy {
  private readonly sockets = new Set<Socket>();
  private isCut = false;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async to(target: string): Promise<CuttableProxy> {
    const { hostname, port } = new URL(target);
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const proxy = new CuttableProxy(server, `http://127.0.0.1:${address.port}`);
    server.on('connection', (client) => {
      const upstream = connect(Number(port), hostname);
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ]) {
        proxy.sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          proxy.sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
      if (proxy.isCut) client.destroy();
    });
    return proxy;
  }

  /** Ends all connections, and each new one at once. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  restore(): void {
    this.isCut = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
