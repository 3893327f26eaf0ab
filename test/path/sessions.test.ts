import { describe, expect, it } from 'vitest';
import { KeyOutcome } from '../../src/path/counters.js';
import { buildSessions } from '../../src/path/session-set.js';
import { SocketState } from '../../src/path/sockets.js';
import { verifyTransportChecksum } from '../../src/wire/checksum.js';
import { IpPacket } from '../../src/wire/ip.js';
import { Reason } from '../../src/wire/reason.js';
import { encodeWireguardInto } from '../../src/wire/wireguard.js';
import { makeEsp, makePacket, makeTooBig, makeUdp, wrapPacket } from './packets.js';
import { Stages } from './stages.js';
import { FakeSockets, OTHER, pathConfig, SELF, type TestTrafficset, THIRD, uniformTable } from './support.js';

/** Trafficsets of sessions: who has the session decides, and no socket. */

const WARP = {
  name: 'warp',
  kind: 'udp-session',
  vips: ['192.0.2.0/24', '2001:db8:100::/64'],
  dissector: { name: 'wireguard-clientid', module: null, options: { clear: true } },
} as const;
const KNOWN = buildSessions([Uint8Array.of(0, 0, 1), Buffer.from('c6336407c000020a9c40ca6c', 'hex')]);

function stages(overrides: Partial<TestTrafficset>): Stages {
  return new Stages(pathConfig([{ ...WARP, table: uniformTable(OTHER, THIRD), ...overrides }]));
}

function data(clientid: number): Uint8Array {
  const bytes = new Uint8Array(64);
  encodeWireguardInto(new DataView(bytes.buffer), 0, 4, clientid, new Uint8Array(60).fill(1));
  return bytes;
}

const packet = (clientid: number, overrides = {}) =>
  makeUdp(data(clientid), { destinationPort: 51_820, ...overrides });
const HOP = { hops: ['10.0.3.1'] };

describe('with a set of sessions, the redirector', () => {
  const { redirector, redirect } = (() => {
    const all = stages({ sessions: KNOWN });
    return { redirector: all.redirector, redirect: all.redirect.bind(all) };
  })();

  it('takes in what the service here has, cleared', () => {
    const [seen] = redirect([wrapPacket(packet(1), HOP)]);
    expect(seen.verdict).toBe('accept_session');
    const inner = new IpPacket();
    inner.parse(new DataView(seen.bytes.buffer), 0, seen.bytes.length);
    expect(inner.data.getUint32(inner.transport + 8)).toBe(0x04000000);
    expect(verifyTransportChecksum(inner)).toBe(Reason.Ok);
  });

  it('sends everything else to the second hop, unchanged', () => {
    const [seen] = redirect([wrapPacket(packet(2), HOP)]);
    expect(seen).toMatchObject({ verdict: 'redirect', to: '10.0.3.1' });
    expect(seen.bytes.subarray(40)).toEqual(packet(2));
  });

  it('asks no socket: one may be there for all sessions', () => {
    const sockets = new FakeSockets(() => SocketState.Established);
    const config = pathConfig([{ ...WARP, sessions: KNOWN, table: uniformTable(SELF, THIRD) }]);
    const all = new Stages(config, sockets);
    expect(all.redirect([wrapPacket(packet(2), HOP)])[0].verdict).toBe('redirect');
    expect(all.forward([packet(2)])[0].verdict).toBe('redirect');
    expect(sockets.asked).toEqual([]);
  });

  it('takes in new sessions where there is no further hop, and tells them from known ones', () => {
    expect(redirect([wrapPacket(packet(2))])[0].verdict).toBe('accept_last_hop');
    expect(redirect([wrapPacket(packet(1))])[0].verdict).toBe('accept_session');
    expect(redirect([wrapPacket(packet(2), { ...HOP, nextHop: 1 })])[0].verdict).toBe('accept_last_hop');
  });

  it('knows a stock client by its 4-tuple', () => {
    expect(redirect([wrapPacket(packet(0), HOP)])[0].verdict).toBe('accept_session');
    expect(redirect([wrapPacket(packet(0, { sourcePort: 1 }), HOP)])[0].verdict).toBe('redirect');
  });

  it('drops what its dissector refuses', () => {
    expect(redirect([wrapPacket(makeUdp(Uint8Array.of(9, 0, 0, 0)), HOP)])[0].verdict).toBe('drop_dissector');
  });

  it('takes in ICMP errors, which went to everybody', () => {
    const error = makeTooBig(
      makePacket({ protocol: 'udp', source: '192.0.2.10', destination: '198.51.100.7', sourcePort: 51_820 }),
      1300,
    );
    expect(redirect([wrapPacket(error)])[0].verdict).toBe('accept_icmp_error');
  });

  it('follows a new set from the next batch on', () => {
    expect(redirector).toBeDefined();
    const all = stages({ sessions: null });
    expect(all.redirect([wrapPacket(packet(1), HOP)])[0].verdict).toBe('redirect');
    all.state.trafficsets[0].useSessions(KNOWN);
    expect(all.redirect([wrapPacket(packet(1), HOP)])[0].verdict).toBe('accept_session');
    all.state.trafficsets[0].useSessions(buildSessions([]));
    expect(all.redirect([wrapPacket(packet(1), HOP)])[0].verdict).toBe('redirect');
  });
});

describe('without one', () => {
  it('there is one slot: whoever gets the packet takes it in', () => {
    const { redirect, forward } = (() => {
      const all = stages({});
      return { redirect: all.redirect.bind(all), forward: all.forward.bind(all) };
    })();
    expect(redirect([wrapPacket(packet(2), HOP)])[0].verdict).toBe('accept_last_hop');
    const [sent] = forward([packet(2)]);
    expect(sent).toMatchObject({ verdict: 'forward', to: '10.0.2.1' });
    // No hop list.
    expect(sent.bytes[35]).toBe(0);
  });
});

describe('the forwarder', () => {
  it('hashes by the clientid, so that addresses and ports do not matter', () => {
    const all = new Stages(
      pathConfig([{ ...WARP, sessions: null, table: uniformTable(OTHER, THIRD, 4096) }]),
    );
    const hashOf = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint16(20);
    const roaming = [
      packet(7),
      packet(7, { sourcePort: 1 }),
      packet(7, { source: '203.0.113.77', sourcePort: 9 }),
      packet(7, { version: 6 }),
    ];
    const ports = all.forward(roaming).map(({ bytes }) => hashOf(bytes));
    expect(new Set(ports).size).toBe(1);
    const stock = all.forward([packet(0), packet(0, { sourcePort: 1 })]).map(({ bytes }) => hashOf(bytes));
    expect(new Set(stock).size).toBe(2);
    expect(all.counters.keyCount(0, KeyOutcome.Fallback)).toBe(2);
  });

  it('decides at once where it is the first hop', () => {
    const all = stages({ table: uniformTable(SELF, THIRD), sessions: KNOWN });
    const [known, unknown] = all.forward([packet(1), packet(2)]);
    expect(known.verdict).toBe('accept_session');
    expect([...known.bytes.subarray(28, 32)]).toEqual([4, 0, 0, 0]);
    expect(unknown).toMatchObject({ verdict: 'redirect', to: '10.0.3.1' });
    // The list names the second hop, and says that it was tried.
    expect([...unknown.bytes.subarray(34, 40)]).toEqual([1, 1, 10, 0, 3, 1]);
  });

  it('counts by reason what its dissector refuses', () => {
    const all = stages({ sessions: KNOWN });
    const seen = all.forward([makeUdp(Uint8Array.of(9, 9, 9, 9)), makeUdp(Uint8Array.of(4, 9, 9, 9))]);
    expect(seen.map(({ verdict }) => verdict)).toEqual(['drop_dissector', 'drop_dissector']);
    expect(all.counters.keyCount(0, KeyOutcome.Drop + 1)).toBe(1);
    expect(all.counters.keyCount(0, KeyOutcome.Drop + 2)).toBe(1);
  });
});

describe('ESP', () => {
  const vpn: TestTrafficset = {
    name: 'vpn',
    kind: 'udp-session',
    protocols: [17, 50],
    vips: ['192.0.2.0/24', '2001:db8:100::/64'],
    ports: [{ first: 4500, last: 4500 }],
    dissector: { name: 'ipsec-spi', module: null, options: {} },
    table: uniformTable(OTHER, 0, 4096),
  };
  const payload = Uint8Array.of(0xc0, 1, 2, 3, ...new Array<number>(28).fill(0));

  it('goes where the same association goes over UDP', () => {
    const all = new Stages(pathConfig([vpn]));
    const seen = all.forward([
      makeEsp(payload),
      makeUdp(payload, { destinationPort: 4500 }),
      makeEsp(payload, { version: 6 }),
    ]);
    expect(seen.map(({ verdict, to }) => `${verdict} ${to}`)).toEqual(new Array(3).fill('forward 10.0.2.1'));
    expect(new Set(seen.map(({ bytes }) => new DataView(bytes.buffer).getUint16(20))).size).toBe(1);
    expect(all.redirect([wrapPacket(makeEsp(payload))])[0].verdict).toBe('accept_last_hop');
  });

  it('is nobody’s where no trafficset has it', () => {
    const all = new Stages(pathConfig([{ ...vpn, protocols: [17] }]));
    expect(all.forward([makeEsp(payload)])[0].verdict).toBe('pass_no_service');
    expect(all.redirect([wrapPacket(makeEsp(payload))])[0].verdict).toBe('drop_not_vip');
  });
});
