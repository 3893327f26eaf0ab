import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathCounters } from '../../src/path/counters.js';
import { FRAGMENT_ENTRIES, FRAGMENT_LIFETIME_MS, FragmentMemory } from '../../src/path/fragments.js';
import { SocketState } from '../../src/path/sockets.js';
import { PathState } from '../../src/path/state.js';
import { IpPacket } from '../../src/wire/ip.js';
import { fragmentsOf, makePacket, makeUdp, wrapPacket } from './packets.js';
import { Stages } from './stages.js';
import { FakeSockets, OTHER, pathConfig, SELF, type TestTrafficset, THIRD, uniformTable } from './support.js';

/** Fragments end as the first one of their datagram does. */

const GAME: TestTrafficset = {
  name: 'game',
  kind: 'udp-flow',
  vips: ['192.0.2.0/24', '2001:db8:100::/64'],
  ports: [{ first: 5000, last: 5000 }],
  fragments: 'follow',
  table: uniformTable(OTHER, THIRD),
};
const stages = (overrides: Partial<TestTrafficset> = {}, sockets = new FakeSockets()) =>
  new Stages(pathConfig([{ ...GAME, ...overrides }]), sockets);
const datagram = (overrides = {}) => makeUdp(new Uint8Array(3000), { destinationPort: 5000, ...overrides });
const pieces = (overrides = {}, identification = 0x1234) =>
  fragmentsOf(datagram(overrides), 1400, identification);
const verdicts = (seen: readonly { readonly verdict: string }[]) => seen.map(({ verdict }) => verdict);

describe.each([4, 6] as const)('fragments over IPv%i', (version) => {
  it('are wrapped alike: same server, same hops, same source port', () => {
    const seen = stages().forward(pieces({ version }));
    expect(verdicts(seen)).toEqual(['forward', 'forward', 'forward']);
    const outer = seen.map(({ bytes }) => Buffer.from(bytes.subarray(12, 24)).toString('hex'));
    expect(new Set(outer).size).toBe(1);
    for (const [index, { to, bytes }] of seen.entries()) {
      expect(to).toBe('10.0.2.1');
      expect(bytes.subarray(40)).toEqual(pieces({ version })[index]);
    }
  });

  it('may come in any order within a batch, and in later batches after the first', () => {
    const [first, second, third] = pieces({ version });
    const all = stages();
    expect(verdicts(all.forward([third, first]))).toEqual(['forward', 'forward']);
    expect(verdicts(all.forward([second]))).toEqual(['forward']);
  });

  it('are dropped where the first one was not seen, or too long ago', () => {
    const [first, second, third] = pieces({ version });
    const all = stages();
    expect(verdicts(all.forward([second], 1000))).toEqual(['drop_fragment_unknown']);
    expect(verdicts(all.forward([first], 2000))).toEqual(['forward']);
    expect(verdicts(all.forward([second], 2000 + FRAGMENT_LIFETIME_MS))).toEqual(['forward']);
    expect(verdicts(all.forward([third], 2001 + FRAGMENT_LIFETIME_MS))).toEqual(['drop_fragment_unknown']);
  });

  it('are decided by the socket at their first hop, in the same batch', () => {
    const here = stages({ table: uniformTable(SELF, THIRD) }, new FakeSockets(() => SocketState.Established));
    expect(verdicts(here.forward(pieces({ version })))).toEqual(new Array(3).fill('accept_established'));
    const elsewhere = stages({ table: uniformTable(SELF, THIRD) });
    const seen = elsewhere.forward(pieces({ version }));
    expect(seen.map(({ verdict, to }) => `${verdict} ${to}`)).toEqual(new Array(3).fill('redirect 10.0.3.1'));
    // The second hop was tried: next_hop 1 of 1.
    for (const { bytes } of seen) expect([...bytes.subarray(34, 40)]).toEqual([1, 1, 10, 0, 3, 1]);
  });

  it('end at the redirector as the first one did', () => {
    const wrapped = pieces({ version }).map((piece) => wrapPacket(piece, { hops: ['10.0.3.1'] }));
    const away = stages().redirect(wrapped);
    expect(away.map(({ verdict, to }) => `${verdict} ${to}`)).toEqual(new Array(3).fill('redirect 10.0.3.1'));
    const here = stages({}, new FakeSockets(() => SocketState.Established)).redirect(wrapped);
    expect(verdicts(here)).toEqual(new Array(3).fill('accept_established'));
    expect(here.map(({ bytes }) => bytes)).toEqual(pieces({ version }));
    expect(verdicts(stages().redirect(wrapped.slice(1)))).toEqual(new Array(2).fill('drop_fragment_unknown'));
  });

  it('are never sent to this server itself', () => {
    const [first, second] = pieces({ version });
    const all = stages();
    const away = all.redirect([wrapPacket(first, { hops: ['10.0.3.1'] })]);
    const back = all.redirect([wrapPacket(second, { hops: ['10.0.1.1', '10.0.1.1'] })]);
    expect(verdicts([...away, ...back])).toEqual(['redirect', 'accept_self']);
  });

  it('are of no known datagram after a reload, whose trafficsets may be others', () => {
    const clear = { name: 'wireguard-clientid', module: null, options: { clear: true } };
    const warp: TestTrafficset = { ...GAME, name: 'warp', kind: 'udp-session', dissector: clear };
    const own = { ...warp, ports: [{ first: 1, last: 1 }] };
    const both = pathConfig([own, { ...GAME, table: uniformTable(SELF, 0) }]);
    const [first, second] = pieces({ version });
    const all = new Stages(both);
    expect(verdicts(all.forward([first]))).toEqual(['accept_last_hop']);
    expect(verdicts(all.redirect([wrapPacket(first)]))).toEqual(['accept_last_hop']);
    const state = new PathState(pathConfig([own]));
    const counters = new PathCounters(1);
    all.forwarder.use(state, counters);
    all.redirector.use(state, counters);
    expect(verdicts(all.forward([second]))).toEqual(['drop_fragment_unknown']);
    expect(verdicts(all.redirect([wrapPacket(second)]))).toEqual(['drop_fragment_unknown']);
  });

  it('that share an identification belong to who came last', () => {
    const all = new Stages(
      pathConfig([
        { ...GAME },
        { ...GAME, name: 'other', ports: [{ first: 6000, last: 6000 }], table: uniformTable(THIRD, 0) },
      ]),
    );
    const [first, second] = pieces({ version });
    const [again, rest] = pieces({ version, destinationPort: 6000 });
    expect(all.forward([first])[0].to).toBe('10.0.2.1');
    expect(all.forward([again])[0].to).toBe('10.0.3.1');
    expect(all.forward([rest])[0].to).toBe('10.0.3.1');
    expect(all.forward([second])[0].to).toBe('10.0.3.1');
  });

  it('to a port that nobody has are passed together', () => {
    const all = stages();
    const seen = all.forward(pieces({ version, destinationPort: 9 }));
    expect(verdicts(seen)).toEqual(new Array(3).fill('pass_no_service'));
    expect(
      verdicts(all.redirect(pieces({ version, destinationPort: 9 }).map((piece) => wrapPacket(piece)))),
    ).toEqual(['drop_not_vip', 'drop_fragment_unknown', 'drop_fragment_unknown']);
  });

  it('are dropped where the trafficset says so, and where the ports are cut off', () => {
    expect(verdicts(stages({ fragments: 'drop' }).forward(pieces({ version })))).toEqual(
      new Array(3).fill('drop_fragment'),
    );
    const cut = fragmentsOf(datagram({ version }), 8)[0].subarray(0, version === 4 ? 23 : 51);
    new DataView(cut.buffer).setUint16(version === 4 ? 2 : 4, version === 4 ? 23 : 11);
    expect(verdicts(stages().forward([cut]))).toEqual(['drop_fragment_unknown']);
  });

  it('too big for the underlay are dropped together with the rest', () => {
    const narrow = new Stages(pathConfig([GAME], { underlayMtu: 1400 }));
    expect(verdicts(narrow.forward(pieces({ version })))).toEqual(new Array(3).fill('drop_too_big'));
  });
});

describe('what is remembered', () => {
  function parsed(bytes: Uint8Array): IpPacket {
    const packet = new IpPacket();
    packet.parse(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
    return packet;
  }
  const first = (identification: number, source = '198.51.100.7') =>
    parsed(fragmentsOf(makeUdp(new Uint8Array(64), { source }), 32, identification)[0]);

  it('tells datagrams apart by addresses, identification, version and, for IPv4, protocol', () => {
    const memory = new FragmentMemory(new Uint8Array(8));
    const entry = memory.note(first(1), 1);
    expect(memory.find(first(1), 1)).toBe(entry);
    expect(memory.find(first(2), 1)).toBe(-1);
    expect(memory.find(first(1, '198.51.100.8'), 1)).toBe(-1);
    const tcp = parsed(fragmentsOf(makePacket({ payload: 64 }), 32, 1)[0]);
    expect(memory.find(tcp, 1)).toBe(-1);
    const six = parsed(fragmentsOf(makeUdp(new Uint8Array(64), { version: 6 }), 32, 1)[0]);
    expect(memory.find(six, 1)).toBe(-1);
  });

  it('is bounded: a flood takes the place of the oldest, and of nothing in the last moment', () => {
    const memory = new FragmentMemory(new Uint8Array(8));
    for (let i = 0; i < 4 * FRAGMENT_ENTRIES; i++) memory.note(first(i & 0xffff, `10.${i >> 16}.0.1`), 1 + i);
    const real = memory.note(first(77), 1e6);
    expect(memory.find(first(77), 1e6)).toBe(real);
    let found = 0;
    for (let i = 0; i < 4 * FRAGMENT_ENTRIES; i++) {
      if (memory.find(first(i & 0xffff, `10.${i >> 16}.0.1`), 1 + 4 * FRAGMENT_ENTRIES) >= 0) found++;
    }
    expect(found).toBeLessThanOrEqual(FRAGMENT_ENTRIES);
    expect(memory.verdict.length).toBe(FRAGMENT_ENTRIES);
  });

  it('finds what was noted last, unless four others of its set came after it', () => {
    const ids = fc.array(fc.nat(40), { maxLength: 60 });
    fc.assert(
      fc.property(ids, (noted) => {
        const memory = new FragmentMemory();
        for (const [index, id] of noted.entries()) memory.note(first(id), index + 1);
        for (const id of new Set(noted.slice(-4))) {
          expect(memory.find(first(id), noted.length + 1)).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 30 },
    );
  });
});
