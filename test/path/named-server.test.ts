import { describe, expect, it } from 'vitest';
import { KeyOutcome } from '../../src/path/counters.js';
import { makeUdp } from './packets.js';
import { Stages } from './stages.js';
import { OTHER, pathConfig, SELF, THIRD, uniformTable } from './support.js';

/** Packets that name their server: QUIC with QUIC-LB connection IDs. */

const QUIC = {
  name: 'quic',
  kind: 'udp-session',
  vips: ['192.0.2.0/24', '2001:db8:100::/64'],
  dissector: {
    name: 'quic-cid',
    module: null,
    options: { configs: [{ config_id: 0, nonce_length: 4, server_ids: { s1: '01', s2: '02', s3: '03' } }] },
  },
} as const;

const stages = (first: number, second: number) =>
  new Stages(pathConfig([{ ...QUIC, table: uniformTable(first, second) }]));
const named = (server: number, overrides = {}) =>
  makeUdp(Uint8Array.of(0x40, 0, server, 9, 9, 9, 9, 1, 2, 3), { destinationPort: 443, ...overrides });
const initial = makeUdp(Uint8Array.of(0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0));

describe('a packet that names its server', () => {
  it('goes there, whatever the bucket says, and no further', () => {
    const all = stages(OTHER, THIRD);
    const [seen] = all.forward([named(3)]);
    expect(seen).toMatchObject({ verdict: 'forward_named', to: '10.0.3.1' });
    expect([...seen.bytes.subarray(32, 36)]).toEqual([0, 0, 0, 0]);
    expect(all.forward([named(2)])[0]).toMatchObject({ verdict: 'forward_named', to: '10.0.2.1' });
    expect(all.counters.keyCount(0, KeyOutcome.Server)).toBe(2);
  });

  it('is taken in where that is this server', () => {
    const [seen] = stages(OTHER, SELF).forward([named(1)]);
    expect(seen.verdict).toBe('accept_named');
    expect(seen.bytes).toEqual(named(1));
  });

  it('goes by its bucket when that server stands nowhere in the table', () => {
    const all = stages(OTHER, 0);
    expect(all.forward([named(3)])[0]).toMatchObject({ verdict: 'forward', to: '10.0.2.1' });
    expect(all.counters.keyCount(0, KeyOutcome.ServerGone)).toBe(1);
    all.state.trafficsets[0].useTable(uniformTable(OTHER, THIRD));
    expect(all.forward([named(3)])[0]).toMatchObject({ verdict: 'forward_named', to: '10.0.3.1' });
  });

  it('leaves from one source port per flow, like the packets before that named nobody', () => {
    const all = stages(OTHER, 0);
    const port = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint16(20);
    const [a, b, c] = all
      .forward([named(2), initial, named(2, { sourcePort: 1 })])
      .map(({ bytes }) => port(bytes));
    expect(b).toBe(port(all.forward([initial])[0].bytes));
    expect(a).not.toBe(c);
    const same = all.forward([named(2, { sourcePort: 40_000, destinationPort: 80 })])[0];
    expect(port(same.bytes)).toBe(b);
  });

  it('is dropped when it does not fit the underlay, like any other', () => {
    const all = new Stages(pathConfig([{ ...QUIC, table: uniformTable(OTHER, 0) }], { underlayMtu: 60 }));
    expect(all.forward([named(2)])[0].verdict).toBe('drop_too_big');
  });
});
