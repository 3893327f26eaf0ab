import { describe, expect, it } from 'vitest';
import { ListedSockets } from '../../src/io/listed-sockets.js';
import { SocketState } from '../../src/path/sockets.js';
import { flow, queriesFor, statesOf } from './queries.js';

const { None, Established, Listening } = SocketState;

describe('ListedSockets', () => {
  it('finds exactly the flows it was given', () => {
    const sockets = new ListedSockets().add(flow(1)).add(flow(2, { protocol: 'udp' }));
    const questions = [
      flow(1),
      flow(2),
      flow(2, { protocol: 'udp' }),
      flow(1, { local: '192.0.2.2' }),
      flow(1, { localPort: 81 }),
      flow(1, { remote: '198.51.100.4' }),
    ];
    expect(statesOf(sockets, ...questions)).toEqual([Established, None, Established, None, None, None]);
    expect(sockets.remove(flow(1))).toBe(true);
    expect(sockets.remove(flow(1))).toBe(false);
    expect(statesOf(sockets, flow(1))).toEqual([None]);
  });

  it('knows an IPv6 address in every spelling', () => {
    const sockets = new ListedSockets().add(flow(1, { local: '2001:db8:0:0::1', remote: '2001:DB8::2' }));
    expect(statesOf(sockets, flow(1, { local: '2001:db8::1', remote: '2001:db8::2' }))).toEqual([
      Established,
    ]);
    expect(statesOf(sockets, flow(1, { local: '2001:db8::1', remote: '2001:db8::3' }))).toEqual([None]);
  });

  it('has listeners on one address and on all', () => {
    const sockets = new ListedSockets()
      .listen({ protocol: 'tcp', address: '192.0.2.1', port: 80 })
      .listen({ protocol: 'udp', port: 443 })
      .add(flow(1));
    const udp = { protocol: 'udp', localPort: 443 } as const;
    const questions = [
      flow(1),
      flow(2),
      flow(2, { local: '192.0.2.2' }),
      flow(3, udp),
      flow(3, { ...udp, local: '2001:db8::1', remote: '2001:db8::2' }),
      flow(3, { ...udp, protocol: 'tcp' }),
    ];
    expect(statesOf(sockets, ...questions)).toEqual([
      Established,
      Listening,
      None,
      Listening,
      Listening,
      None,
    ]);
    expect(sockets.unlisten({ protocol: 'udp', port: 443 })).toBe(true);
    expect(statesOf(sockets, flow(3, udp))).toEqual([None]);
  });

  it('completes cookie handshakes only at listeners that send cookies', () => {
    const sockets = new ListedSockets()
      .listen({ protocol: 'tcp', port: 80, cookies: true })
      .listen({ protocol: 'tcp', port: 81 });
    const queries = queriesFor([flow(1), flow(1, { localPort: 81 })]);
    expect(sockets.completesCookie(queries, 0)).toBe(true);
    expect(sockets.completesCookie(queries, 1)).toBe(false);
  });

  it('makes connections of delivered SYNs when told to', () => {
    const listeners = (sockets: ListedSockets) =>
      sockets.listen({ protocol: 'tcp', port: 80 }).listen({ protocol: 'tcp', port: 81, cookies: true });
    const flows = [flow(1), flow(1, { localPort: 81 }), flow(1, { localPort: 82 })];
    const queries = queriesFor(flows);

    const idle = listeners(new ListedSockets());
    idle.synAccepted(queries, 0);
    idle.delivered();
    expect(statesOf(idle, ...flows)).toEqual([Listening, Listening, None]);

    const following = listeners(new ListedSockets({ followSyns: true }));
    for (const index of [0, 1, 2]) following.synAccepted(queries, index);
    expect(statesOf(following, ...flows)).toEqual([Listening, Listening, None]);
    following.delivered();
    expect(statesOf(following, ...flows)).toEqual([Established, Listening, None]);
    expect(following.completesCookie(queries, 1)).toBe(true);
    following.delivered();
    expect(statesOf(following, ...flows)).toEqual([Established, Established, None]);
  });

  it('listens on every port where none is given', () => {
    const sockets = new ListedSockets().listen({ protocol: 'tcp' }).listen({
      protocol: 'udp',
      address: '192.0.2.1',
    });
    const udp = { protocol: 'udp' } as const;
    expect(statesOf(sockets, flow(1, { localPort: 7 }), flow(1, udp))).toEqual([Listening, Listening]);
    expect(statesOf(sockets, flow(1, { ...udp, local: '192.0.2.2' }))).toEqual([None]);
  });

  it('forgets the older half of what it follows when that is too much, and says so', () => {
    const sockets = new ListedSockets({ followSyns: true, followLimit: 4 }).listen({ protocol: 'tcp' });
    const accept = (port: number) => {
      sockets.synAccepted(queriesFor([flow(port)]), 0);
      sockets.delivered();
    };
    for (const port of [1, 2, 3, 3, 1]) accept(port);
    expect(sockets.forgotten).toBe(0);
    accept(4);
    expect(sockets.forgotten).toBe(2);
    expect(statesOf(sockets, ...[1, 2, 3, 4].map((port) => flow(port)))).toEqual([
      Listening,
      Listening,
      Established,
      Established,
    ]);
  });

  it('can be watched without learning', () => {
    const sockets = new ListedSockets({ followSyns: true }).listen({ protocol: 'tcp', cookies: true });
    const watched = sockets.observer();
    const queries = queriesFor([flow(1)]);
    expect(watched.completesCookie(queries, 0, 1)).toBe(true);
    watched.synAccepted(queries, 0, 1);
    watched.delivered();
    sockets.delivered();
    expect(statesOf(watched, flow(1))).toEqual([Listening]);
  });

  it('refuses addresses that are none', () => {
    expect(() => new ListedSockets().add(flow(1, { local: '192.0.2' }))).toThrow(/no IPv4 address/);
  });
});
