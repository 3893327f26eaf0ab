import { describe, expect, it } from 'vitest';
import { formatIpv4 } from '../../src/wire/address.js';
import { CLIENT4, CLIENT6, makePacket, makeTooBig, VIP4, VIP6, wrapPacket } from './packets.js';
import { Stages } from './stages.js';
import { OTHER, pathConfig, SELF, THIRD, uniformTable } from './support.js';

/** ICMP errors about flows that their quote does not tell: to every server of the table, within a limit. */

const WARP = {
  name: 'warp',
  kind: 'udp-session',
  vips: ['192.0.2.0/24', '2001:db8:100::/64'],
  dissector: { name: 'wireguard-clientid', module: null, options: {} },
} as const;

/** What a router says about a packet that the service sent. */
function error(version: 4 | 6 = 4, quote = 48): Uint8Array {
  const [source, destination] = version === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
  return makeTooBig(
    makePacket({ version, protocol: 'udp', source, destination, sourcePort: 51_820, payload: 1400 }),
    1300,
    quote,
  );
}

const config = (overrides = {}) =>
  pathConfig([{ ...WARP, table: uniformTable(OTHER, THIRD) }], { icmpCopies: 100, ...overrides });

describe('an ICMP error about a session', () => {
  it.each([4, 6] as const)(
    'over IPv%i goes to every server of the table, and to the kernel here',
    (version) => {
      const all = new Stages(config());
      const [seen] = all.forward([error(version)]);
      expect(seen).toMatchObject({ verdict: 'forward_icmp_everywhere', to: '' });
      expect(seen.bytes).toEqual(error(version));
      expect(all.copies.map(({ to }) => to)).toEqual(['10.0.2.1', '10.0.3.1']);
      for (const { to, bytes } of all.copies) {
        const expected = wrapPacket(error(version), { source: formatIpv4(SELF), destination: to });
        new DataView(expected.buffer).setUint16(20, 0x8000);
        expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
      }
    },
  );

  it('is taken in by each of them, and goes no further', () => {
    const entry = new Stages(config());
    entry.forward([error()]);
    for (const { to, bytes } of entry.copies) {
      const dip = to === formatIpv4(OTHER) ? OTHER : THIRD;
      const [seen] = new Stages(config({ dip })).redirect([bytes]);
      expect(seen.verdict).toBe('accept_icmp_error');
      expect(seen.bytes).toEqual(error());
    }
  });

  it('is not copied to the server that it came in at', () => {
    const all = new Stages(pathConfig([{ ...WARP, table: uniformTable(SELF, OTHER) }]));
    all.forward([error()]);
    expect(all.copies.map(({ to }) => to)).toEqual(['10.0.2.1']);
  });

  it('is dropped where too many came before it, until time has passed', () => {
    const all = new Stages(config({ icmpCopies: 4 }));
    const verdicts = (now: number, count: number) =>
      all.forward(new Array<Uint8Array>(count).fill(error()), now).map(({ verdict }) => verdict);
    expect(verdicts(1000, 3)).toEqual([
      'forward_icmp_everywhere',
      'forward_icmp_everywhere',
      'drop_icmp_limit',
    ]);
    expect(all.copies).toHaveLength(4);
    expect(verdicts(1250, 1)).toEqual(['drop_icmp_limit']);
    expect(verdicts(1500, 2)).toEqual(['forward_icmp_everywhere', 'drop_icmp_limit']);
    // However long nothing came: one second's worth.
    expect(verdicts(60_000, 3)).toEqual([
      'forward_icmp_everywhere',
      'forward_icmp_everywhere',
      'drop_icmp_limit',
    ]);
  });

  it('is never copied where no copies are allowed', () => {
    const all = new Stages(config({ icmpCopies: 0 }));
    for (const now of [1, 1000, 60_000]) {
      expect(all.forward([error()], now)[0].verdict).toBe('drop_icmp_limit');
      expect(all.copies).toEqual([]);
    }
  });

  it('is copied more often than a batch holds', () => {
    const slots = uniformTable(OTHER, 0, 256);
    for (let b = 0; b < 256; b++) slots.slots[2 * b] = 0x0a000001 + b;
    const all = new Stages(pathConfig([{ ...WARP, table: slots }], { icmpCopies: 1000 }));
    all.forward([error(), makePacket(), error()]);
    expect(all.copies).toHaveLength(512);
    expect(new Set(all.copies.map(({ to }) => to)).size).toBe(256);
  });

  it('that is longer than any error should be is dropped', () => {
    expect(new Stages(config()).forward([error(4, 1600)])[0].verdict).toBe('forward_icmp_everywhere');
    const [source, destination] = [VIP4, CLIENT4];
    const large = makeTooBig(
      makePacket({ protocol: 'udp', source, destination, sourcePort: 51_820, payload: 1500 }),
      1300,
      1600,
    );
    expect(new Stages(config()).forward([large])[0].verdict).toBe('drop_too_big');
  });

  it('follows the flow where the tuple tells the key', () => {
    const dissector = { name: 'source-address', module: null, options: {} };
    const all = new Stages(pathConfig([{ ...WARP, dissector, table: uniformTable(OTHER, THIRD) }]));
    expect(all.forward([error()])[0]).toMatchObject({ verdict: 'forward_icmp_error', to: '10.0.2.1' });
    expect(all.copies).toEqual([]);
  });
});
