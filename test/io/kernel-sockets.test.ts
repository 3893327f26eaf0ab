import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { DestroyEvents } from '../../src/io/destroy-events.js';
import type { ListedFlow } from '../../src/io/listed-sockets.js';
import { Poller } from '../../src/io/poller.js';
import { KernelSockets } from '../../src/io/sock-diag.js';
import { CachedSockets } from '../../src/io/socket-cache.js';
import { TunPort } from '../../src/io/tun.js';
import { PacketBatch } from '../../src/path/batch.js';
import { SocketState } from '../../src/path/sockets.js';
import { Action } from '../../src/path/verdict.js';
import { describePrivileged } from '../privileged.js';
import { batchOf, TCP_ACK, TCP_RST, TCP_SYN, tcpPacket } from './packets.js';
import { enterPrivateNetwork, ip, sysctl } from './private-network.js';
import { queriesFor, statesOf } from './queries.js';

const { None, Established, Listening } = SocketState;

describePrivileged('the kernel’s sockets', ['root', 'tun', 'namespaces', 'ip'], () => {
  const endings: (() => void)[] = [];
  function kept<T>(thing: T, end: (thing: T) => void): T {
    endings.push(() => end(thing));
    return thing;
  }
  const lookup = () => kept(KernelSockets.open(), (sockets) => sockets.close());

  beforeAll(() => {
    enterPrivateNetwork();
    ip('addr add 192.0.2.1/32 dev lo');
    ip('addr add 192.0.2.2/32 dev lo');
    ip('addr add 2001:db8::1/128 dev lo nodad');
    // Where clients without a kernel of their own live.
    const tun = kept(TunPort.open({ name: 'tun-peer' }), () => {});
    ip(`link set ${tun.name} addrgenmode none up`);
    ip(`route add 198.51.100.0/24 dev ${tun.name}`);
    peer = tun;
  });
  let peer: TunPort;
  afterEach(() => {
    for (const end of endings.splice(0).reverse()) end();
    sysctl('net/ipv4/tcp_syncookies', 1);
    peer.receive(new PacketBatch());
  });

  async function service(
    host: string,
    options: { v6only?: boolean } = {},
  ): Promise<{ server: Server; port: number }> {
    const server = createServer({ allowHalfOpen: true });
    server.listen({ host, port: 0, ipv6Only: options.v6only ?? false });
    await once(server, 'listening');
    server.on('connection', (served) => served.on('error', () => {}));
    kept(server, () => server.close());
    return { server, port: (server.address() as AddressInfo).port };
  }

  /** A connection to the service: both ends. */
  async function connection(
    server: Server,
    host: string,
    port: number,
  ): Promise<{ client: Socket; served: Socket }> {
    const accepted = once(server, 'connection');
    const client = connect({ host, port });
    client.on('error', () => {});
    await once(client, 'connect');
    const [served] = (await accepted) as [Socket];
    kept(client, () => client.destroy());
    kept(served, () => served.destroy());
    return { client, served };
  }

  const flowOf = (client: Socket): ListedFlow => ({
    protocol: 'tcp',
    local: client.remoteAddress ?? '',
    localPort: client.remotePort ?? 0,
    remote: client.localAddress ?? '',
    remotePort: client.localPort ?? 0,
  });

  /** What the lookup says, once it says something else than before: the other side's packets take a moment. */
  async function eventually(check: () => boolean): Promise<void> {
    while (!check()) await new Promise((done) => setImmediate(done));
  }

  it('tells connections, listeners and nothing apart, IPv4 and IPv6', async () => {
    const sockets = lookup();
    for (const host of ['192.0.2.1', '2001:db8::1']) {
      const { server, port } = await service(host);
      const { client } = await connection(server, host, port);
      const flow = flowOf(client);
      expect(statesOf(sockets, flow)).toEqual([Established]);
      expect(sockets.cookies[0]).toBeGreaterThan(0);
      expect(statesOf(sockets, { ...flow, remotePort: 1 })).toEqual([Listening]);
      expect(sockets.cookies[0]).toBe(0);
      expect(statesOf(sockets, { ...flow, localPort: 1 })).toEqual([None]);
      expect(statesOf(sockets, { ...flow, protocol: 'udp' })).toEqual([None]);
    }
    const { port } = await service('192.0.2.1');
    const elsewhere = { local: '192.0.2.2', localPort: port, remote: '192.0.2.1', remotePort: 9 };
    expect(statesOf(sockets, { protocol: 'tcp', ...elsewhere })).toEqual([None]);
  });

  it('finds the IPv4 connections and the listener of a dual-stack service', async () => {
    const sockets = lookup();
    const { server, port } = await service('::');
    const { client } = await connection(server, '192.0.2.1', port);
    expect(statesOf(sockets, flowOf(client), { ...flowOf(client), remotePort: 1 })).toEqual([
      Established,
      Listening,
    ]);
    const only = await service('::', { v6only: true });
    expect(statesOf(sockets, { ...flowOf(client), localPort: only.port })).toEqual([None]);
  });

  it('finds what is left of a connection in TIME_WAIT, and does not name it', async () => {
    const sockets = lookup();
    const { server, port } = await service('192.0.2.1');
    const { client, served } = await connection(server, '192.0.2.1', port);
    const flow = flowOf(client);
    served.end();
    client.resume().end();
    served.resume();
    await Promise.all([once(served, 'close'), once(client, 'close')]);
    await eventually(() => {
      expect(statesOf(sockets, flow)).toEqual([Established]);
      return sockets.cookies[0] === 0;
    });
  });

  it('finds a handshake in progress, and does not name it', async () => {
    const sockets = lookup();
    const { port } = await service('192.0.2.1');
    const ends = {
      source: '198.51.100.3',
      destination: '192.0.2.1',
      sourcePort: 5555,
      destinationPort: port,
    };
    const flow: ListedFlow = {
      protocol: 'tcp',
      local: ends.destination,
      localPort: port,
      remote: ends.source,
      remotePort: ends.sourcePort,
    };
    expect(statesOf(sockets, flow)).toEqual([Listening]);
    const syn = tcpPacket({ ...ends, sequence: 100, flags: TCP_SYN });
    expect(peer.send(batchOf([syn], Action.Deliver), Action.Deliver)).toBe(1);
    // No waiting: when the write has returned, the socket is there.
    expect(statesOf(sockets, flow)).toEqual([Established]);
    expect(sockets.cookies[0]).toBe(0);
    peer.send(
      batchOf([tcpPacket({ ...ends, sequence: 101, flags: TCP_RST })], Action.Deliver),
      Action.Deliver,
    );
    expect(statesOf(sockets, flow)).toEqual([Listening]);
  });

  it('tells connected UDP sockets from unconnected ones', async () => {
    const sockets = lookup();
    const udp = async (type: 'udp4' | 'udp6', address: string): Promise<UdpSocket> => {
      const socket = createSocket(type);
      await new Promise<void>((done) => socket.bind(0, address, done));
      return kept(socket, () => socket.close());
    };
    for (const [type, local, remote] of [
      ['udp4', '192.0.2.1', '192.0.2.2'],
      ['udp6', '2001:db8::1', '::1'],
    ] as const) {
      const one = await udp(type, local);
      const localPort = one.address().port;
      const flow: ListedFlow = { protocol: 'udp', local, localPort, remote, remotePort: 4242 };
      expect(statesOf(sockets, flow)).toEqual([Listening]);
      await new Promise<void>((done) => one.connect(4242, remote, done));
      expect(statesOf(sockets, flow, { ...flow, remotePort: 4243 })).toEqual([Established, None]);
      expect(statesOf(sockets, { ...flow, protocol: 'tcp' })).toEqual([None]);
      one.disconnect();
    }
    const both = await udp('udp6', '::');
    const mapped = { local: '192.0.2.1', localPort: both.address().port, remote: '192.0.2.2', remotePort: 1 };
    expect(statesOf(sockets, { protocol: 'udp', ...mapped })).toEqual([Listening]);
  });

  it('answers hundreds of questions at once, each its own', async () => {
    const sockets = lookup();
    const { server, port } = await service('192.0.2.1');
    const wanted = new Set<number>();
    const flows: ListedFlow[] = [];
    for (let i = 0; i < 200; i++) {
      if (i % 20 === 7) {
        flows.push(flowOf((await connection(server, '192.0.2.1', port)).client));
        wanted.add(i);
      } else {
        const remotePort = 100 + i;
        const localPort = i % 2 === 0 ? port : 1;
        flows.push({ protocol: 'tcp', local: '192.0.2.1', localPort, remote: '198.51.100.3', remotePort });
      }
    }
    const states = statesOf(sockets, ...flows);
    const expected = flows.map(({ localPort }, i) =>
      wanted.has(i) ? Established : localPort === port ? Listening : None,
    );
    expect(states).toEqual(expected);
    flows.forEach((_, i) => {
      expect(sockets.cookies[2 * i] > 0).toBe(wanted.has(i));
    });
  });

  it('answers Failed when it cannot ask', () => {
    const sockets = KernelSockets.open();
    sockets.close();
    expect(
      statesOf(sockets, { protocol: 'tcp', local: '::1', localPort: 1, remote: '::1', remotePort: 2 }),
    ).toEqual([SocketState.Failed]);
  });

  it('notices beforehand that a kernel has no such lookup', () => {
    const sockets = lookup();
    expect(sockets.supports(6)).toBe(true);
    expect(sockets.supports(17)).toBe(true);
    expect(sockets.supports(200)).toBe(false);
  });

  it('announces the ends of connections, however they end', async () => {
    const sockets = lookup();
    const events = kept(DestroyEvents.open(), (opened) => opened.close());
    const endings: ((ends: { client: Socket; served: Socket }) => void)[] = [
      ({ served }) => served.resetAndDestroy(),
      ({ client }) => client.resetAndDestroy(),
      ({ client, served }) => {
        client.end();
        served.end();
      },
    ];
    for (const [listen, host] of [
      ['192.0.2.1', '192.0.2.1'],
      ['2001:db8::1', '2001:db8::1'],
      ['::', '192.0.2.1'],
    ]) {
      const { server, port } = await service(listen);
      for (const end of endings) {
        const ends = await connection(server, host, port);
        statesOf(sockets, flowOf(ends.client));
        const cookie = sockets.cookies[0];
        ends.client.resume();
        ends.served.resume();
        end(ends);
        await eventually(() => {
          const count = events.take();
          return Array.from({ length: count }, (_, i) => events.cookies[2 * i]).includes(cookie);
        });
      }
    }
  });

  it('says when announcements were lost', async () => {
    const events = kept(DestroyEvents.open({ receiveBuffer: 4096 }), (opened) => opened.close());
    const { server, port } = await service('192.0.2.1');
    for (let i = 0; i < 40; i++) {
      const { client } = await connection(server, '192.0.2.1', port);
      client.resetAndDestroy();
    }
    await eventually(() => events.take() === -1);
    // What fitted into the buffer is still there, and then the news go on.
    await eventually(() => events.take() === 0);
  });

  it('are cached until they end', async () => {
    // The clock stands still: nothing is forgotten because of its age.
    const cache = new CachedSockets(lookup(), {
      shared: CachedSockets.sharedState(),
      ends: kept(DestroyEvents.open(), (events) => events.close()),
      clock: () => 0,
    });
    const { server, port } = await service('192.0.2.1');
    const { client, served } = await connection(server, '192.0.2.1', port);
    const flow = flowOf(client);
    expect(statesOf(cache, flow)).toEqual([Established]);
    expect(statesOf(cache, flow)).toEqual([Established]);
    expect(cache.counters).toMatchObject({ hits: 1, kernelLookups: 1 });
    served.resetAndDestroy();
    await eventually(() => statesOf(cache, flow)[0] === Listening);
  });

  it('with SYN cookies: the ACK is recognised by the SYN’s sequence number, and its connection found', async () => {
    sysctl('net/ipv4/tcp_syncookies', 2);
    const cache = kept(CachedSockets.overKernel(CachedSockets.sharedState()), (sockets) => sockets.close());
    const { server, port } = await service('192.0.2.1');
    const accepted = once(server, 'connection');
    const ends = {
      source: '198.51.100.3',
      destination: '192.0.2.1',
      sourcePort: 6666,
      destinationPort: port,
    };
    const flow: ListedFlow = {
      protocol: 'tcp',
      local: ends.destination,
      localPort: port,
      remote: ends.source,
      remotePort: ends.sourcePort,
    };
    const isn = 0xfffffff0;
    const queries = queriesFor([flow]);

    cache.synAccepted(queries, 0, isn);
    peer.send(
      batchOf([tcpPacket({ ...ends, sequence: isn, flags: TCP_SYN })], Action.Deliver),
      Action.Deliver,
    );
    cache.delivered();
    const replies = new PacketBatch();
    expect(new Poller([peer.fd]).wait(1000)).toBe(1);
    peer.receive(replies);
    const synAck = Buffer.from(replies.packet(0));
    expect(synAck[33]).toBe(TCP_SYN | TCP_ACK);

    // The kernel has kept nothing.
    expect(statesOf(cache, flow)).toEqual([Listening]);
    expect(cache.completesCookie(queries, 0, isn + 2)).toBe(false);
    expect(cache.completesCookie(queries, 0, (isn + 1) >>> 0)).toBe(true);
    const ack = tcpPacket({
      ...ends,
      sequence: isn + 1,
      acknowledgment: synAck.readUInt32BE(24) + 1,
      flags: TCP_ACK,
    });
    peer.send(batchOf([ack], Action.Deliver), Action.Deliver);
    cache.delivered();
    expect(statesOf(cache, flow)).toEqual([Established]);
    const [served] = (await accepted) as [Socket];
    expect(served.remotePort).toBe(6666);
    kept(served, () => served.destroy());
  });
});
