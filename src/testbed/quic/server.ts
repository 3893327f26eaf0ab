import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { isQuicLong, QUIC_SHORT_AT_DCID, QUIC_V1, QuicLongView, QuicType } from '../../wire/quic.js';
import { Reason } from '../../wire/reason.js';
import type { Endpoint } from '../client-protocol.js';
import { writeJsonLine } from '../json-lines.js';
import { PseudoRandomStream } from '../stream.js';
import { type QuicServerAdmin, type QuicServerReport, serveAdmin } from './admin.js';
import { type Certificate, makeCertificate } from './certificate.js';
import { CID_LENGTH, ConnectionIds, serverIdOf } from './configurations.js';
import { ServedConnection } from './connection.js';
import { HTTP3, responseWith } from './http3.js';
import { type Config, type Host, loadQuiche, type Quiche } from './library.js';
import { NarrowLink, type Pace } from './narrow-link.js';
import { ALL_PORTS, QUIC_VIPS, RESPONSE_LENGTH, seedOf, UPLOAD_PORTS, WINDOW } from './plan.js';

/**
 * A QUIC server behind the VIPs, on Cloudflare's quiche: it answers every HTTP/3 request with octets that the client's
 * side can compute too, and puts its server ID into its connection IDs as QUIC-LB says. Beyond that it knows nothing of
 * the load balancer.
 */

const IDLE_MS = 15_000;
/** Below every path MTU here, whatever wraps the packets. */
const LARGEST_PAYLOAD = 1350;

/** The connections of a server, on all its addresses. */
class QuicServer implements QuicServerAdmin {
  /** By destination connection ID, in hexadecimal; those that ended too, whose last packets may still be on the way. */
  readonly byId = new Map<string, ServedConnection>();
  private readonly connections = new Set<ServedConnection>();
  private readonly strays = new Map<number, number>();
  private readonly config: Config;
  private readonly links = new Map<string, NarrowLink>();
  private pace: Pace = 'slow';

  constructor(
    private readonly name: string,
    readonly quiche: Quiche,
    certificate: Certificate,
    private readonly ids: ConnectionIds,
  ) {
    this.config = configOf(quiche, certificate);
  }

  stray(port: number): void {
    this.strays.set(port, (this.strays.get(port) ?? 0) + 1);
  }

  /** A connection that begins. */
  accept(initial: QuicLongView, local: Endpoint, peer: Endpoint, send: SendTo): ServedConnection {
    const original = hexOf(initial.data, initial.dcidOffset, initial.dcidLength);
    const client = hexOf(initial.data, initial.scidOffset, initial.scidLength);
    const first = this.ids.next();
    const connection = new ServedConnection({
      quiche: this.quiche.Connection.accept(first, null, hostOf(local), hostOf(peer), this.config),
      issueId: () => {
        const id = this.ids.next();
        this.byId.set(id.toString('hex'), connection);
        return id;
      },
      send,
      response: responseWith(new PseudoRandomStream(seedOf(client)).next(RESPONSE_LENGTH)),
      client,
      local,
      peer,
      firstId: first.toString('hex'),
    });
    // Until the client has heard from us it goes on with the ID that it made up.
    this.byId.set(original, connection);
    this.byId.set(first.toString('hex'), connection);
    this.connections.add(connection);
    return connection;
  }

  setPace(pace: Pace): void {
    this.pace = pace;
    for (const link of this.links.values()) link.setPace(pace);
  }

  /** The link over which an upload comes from there: somewhere else is another link. */
  linkFrom({ address, port }: Endpoint): NarrowLink {
    const key = `${address} ${port}`;
    let link = this.links.get(key);
    if (link === undefined) {
      link = new NarrowLink(this.pace);
      this.links.set(key, link);
    }
    return link;
  }

  report(): QuicServerReport {
    return {
      server: this.name,
      connections: [...this.connections].map((connection) => connection.report()),
      strays: Object.fromEntries(this.strays),
    };
  }
}

type SendTo = (datagram: Uint8Array, to: Host) => void;

/** Takes what comes to one address and port to the connection it belongs to. */
class Listener {
  private readonly header = new QuicLongView();

  private constructor(
    private readonly server: QuicServer,
    private readonly socket: Socket,
    private readonly local: Endpoint,
  ) {
    socket.on('message', (datagram, { address, port }) => this.receive(datagram, { address, port }));
  }

  /** Resolves when datagrams are taken. */
  static open(server: QuicServer, local: Endpoint): Promise<Listener> {
    const socket = createSocket({ type: isIPv6(local.address) ? 'udp6' : 'udp4', recvBufferSize: WINDOW });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(local.port, local.address, () => {
        socket.off('error', reject);
        // What cannot be sent is lost, as on any network.
        socket.on('error', () => {});
        resolve(new Listener(server, socket, local));
      });
    });
  }

  private receive(datagram: Buffer, peer: Endpoint): void {
    if (datagram.length <= CID_LENGTH) return;
    if (!isQuicLong(datagram[0])) {
      const id = datagram.toString('hex', QUIC_SHORT_AT_DCID, QUIC_SHORT_AT_DCID + CID_LENGTH);
      const connection = this.server.byId.get(id);
      if (connection === undefined) this.server.stray(this.local.port);
      else this.deliver(connection, datagram, peer, id);
      return;
    }
    const { header } = this;
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
    if (header.attach(view, 0, datagram.length) !== Reason.Ok) return;
    const known = this.server.byId.get(hexOf(view, header.dcidOffset, header.dcidLength));
    if (known !== undefined) this.deliver(known, datagram, peer, null);
    else if (header.type === QuicType.Initial && header.version === QUIC_V1) this.begin(datagram, peer);
    else this.server.stray(this.local.port);
  }

  private deliver(connection: ServedConnection, datagram: Buffer, peer: Endpoint, id: string | null): void {
    if (!UPLOAD_PORTS.includes(this.local.port)) connection.receive(datagram, peer, id);
    else this.server.linkFrom(peer).pass(() => connection.receive(datagram, peer, id));
  }

  private begin(datagram: Buffer, peer: Endpoint): void {
    const send: SendTo = (out, to) => this.socket.send(out, to.port, to.host, () => {});
    this.server.accept(this.header, this.local, peer, send).receive(datagram, peer, null);
  }
}

function configOf(quiche: Quiche, { key, certificate }: Certificate): Config {
  const config = quiche.Config.withBoringSslCtx(false, true, null, [key], [certificate], null);
  config.setApplicationProtos([HTTP3]);
  config.setMaxIdleTimeout(IDLE_MS);
  config.setMaxSendUdpPayloadSize(LARGEST_PAYLOAD);
  config.setInitialMaxData(WINDOW);
  config.setInitialMaxStreamDataBidiRemote(WINDOW);
  config.setInitialMaxStreamDataUni(WINDOW);
  config.setInitialMaxStreamsBidi(8);
  config.setInitialMaxStreamsUni(8);
  // The client's IDs, of which every path takes one.
  config.setActiveConnectionIdLimit(8);
  config.setDisableActiveMigration(false);
  config.enablePacing(false);
  return config;
}

/** The server's process: says when it is ready, and goes on until it is killed. */
export async function serveQuicUntilKilled(name: string, number: number, directory: string): Promise<void> {
  const certificate = await makeCertificate(directory, name);
  const server = new QuicServer(name, await loadQuiche(), certificate, new ConnectionIds(serverIdOf(number)));
  const addresses = QUIC_VIPS.flatMap((address) => ALL_PORTS.map((port) => ({ address, port })));
  await Promise.all(addresses.map((local) => Listener.open(server, local)));
  await serveAdmin(name, server);
  writeJsonLine(process.stdout, { ready: name });
}

const hostOf = ({ address, port }: Endpoint): Host => ({ host: address, port });

function hexOf(view: DataView, offset: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + offset, length).toString('hex');
}
