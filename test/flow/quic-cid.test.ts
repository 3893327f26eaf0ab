import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeUnroutableCidInto, QuicLbEncoder } from '../../src/flow/quic-lb.js';
import { encodeQuicLongInto, encodeQuicShortInto, QUIC_V1, QUIC_V2, QuicType } from '../../src/wire/quic.js';
import { fragmentsOf, makePacket, makeUdp } from '../path/packets.js';
import { CONTEXT, make, outcomeOf } from './dissect.js';

const KEY = '8f95f09245765f80256934e50c66207f';
const PLAIN = { config_id: 0, nonce_length: 6, server_ids: { s1: '0a01', s2: '0a02' } };
const BLOCK = {
  config_id: 1,
  key: KEY,
  nonce_length: 8,
  server_ids: { s1: '1122334455667701', s2: '1122334455667702' },
};
const FOUR_PASS = {
  config_id: 2,
  key: KEY,
  nonce_length: 5,
  first_octet_encodes_length: true,
  server_ids: { s1: '000001', s3: '000003' },
};
const dissector = make('quic-cid', { configs: [PLAIN, BLOCK, FOUR_PASS] });

interface Config {
  readonly config_id: number;
  readonly key?: string;
  readonly nonce_length: number;
  readonly first_octet_encodes_length?: boolean;
}

function cid(config: Config, serverId: string, nonce = 7): Uint8Array {
  const encoder = new QuicLbEncoder({
    configId: config.config_id,
    serverIdLength: serverId.length / 2,
    nonceLength: config.nonce_length,
    key: config.key === undefined ? null : Buffer.from(config.key, 'hex'),
    firstOctetEncodesCidLength: config.first_octet_encodes_length ?? false,
  });
  const bytes = new Uint8Array(encoder.cidLength);
  encoder.encodeInto(
    new DataView(bytes.buffer),
    0,
    Buffer.from(serverId, 'hex'),
    new Uint8Array(config.nonce_length).fill(nonce),
    nonce,
  );
  return bytes;
}

function short(dcid: Uint8Array, rest = 20): Uint8Array {
  const bytes = new Uint8Array(1 + dcid.length + rest).fill(0x33);
  encodeQuicShortInto(new DataView(bytes.buffer), 0, dcid);
  return bytes;
}

function long(type: QuicType, dcid: Uint8Array, version = QUIC_V1): Uint8Array {
  const bytes = new Uint8Array(7 + dcid.length + 8 + 20).fill(0x33);
  encodeQuicLongInto(new DataView(bytes.buffer), 0, version, type, dcid, new Uint8Array(8));
  return bytes;
}

const outcome = (data: Uint8Array) => outcomeOf(dissector, makeUdp(data));

describe('quic-cid', () => {
  it.each([
    ['plaintext', PLAIN],
    ['one block', BLOCK],
    ['four passes', FOUR_PASS],
  ])('sends short headers to the server that their ID names: %s', (_name, config) => {
    for (const [name, id] of Object.entries(config.server_ids)) {
      for (const nonce of [0, 1, 31, 255]) {
        expect(outcome(short(cid(config, id, nonce)))).toBe(`server 10.0.${name.slice(1)}.1`);
      }
    }
  });

  it('does so for Handshake packets of both versions, and over IPv6', () => {
    for (const version of [QUIC_V1, QUIC_V2]) {
      expect(outcome(long(QuicType.Handshake, cid(PLAIN, '0a02'), version))).toBe('server 10.0.2.1');
    }
    expect(outcomeOf(dissector, makeUdp(short(cid(BLOCK, '1122334455667701')), { version: 6 }))).toBe(
      'server 10.0.1.1',
    );
  });

  it('hashes what the client chose by the 4-tuple, even where it looks like a server ID', () => {
    for (const version of [QUIC_V1, QUIC_V2]) {
      for (const type of [QuicType.Initial, QuicType.ZeroRtt]) {
        expect(outcome(long(type, cid(PLAIN, '0a02'), version))).toBe('fallback');
      }
    }
    expect(outcome(long(QuicType.Handshake, cid(PLAIN, '0a02'), 0xff00_001d))).toBe('fallback');
    expect(outcome(long(QuicType.Handshake, cid(PLAIN, '0a02'), 0))).toBe('fallback');
  });

  it('falls back where an ID names nobody', () => {
    const unroutable = new Uint8Array(9);
    encodeUnroutableCidInto(new DataView(unroutable.buffer), 0, new Uint8Array(8));
    expect(outcome(short(unroutable))).toBe('fallback');
    expect(outcome(short(cid({ ...PLAIN, config_id: 5 }, '0a02')))).toBe('fallback');
    expect(outcome(short(cid(PLAIN, '0a03')))).toBe('fallback');
    expect(outcome(short(cid({ ...BLOCK, key: '00'.repeat(16) }, '1122334455667701')))).toBe('fallback');
    expect(outcome(short(cid(PLAIN, '0a02').subarray(0, 5), 0))).toBe('fallback');
    expect(outcome(Uint8Array.of(0x40))).toBe('fallback');
  });

  it('does not look at the fixed bit', () => {
    const packet = short(cid(PLAIN, '0a02'));
    packet[0] &= ~0x40;
    expect(outcome(packet)).toBe('server 10.0.2.1');
  });

  it('refuses what is no QUIC packet', () => {
    expect(outcome(new Uint8Array(0))).toBe('drop empty');
    expect(outcome(Uint8Array.of(0xc0, 0, 0, 0, 1))).toBe('drop truncated');
    expect(outcome(long(QuicType.Initial, new Uint8Array(8)).subarray(0, 14))).toBe('drop truncated');
    expect(outcome(long(QuicType.Initial, new Uint8Array(21)))).toBe('drop bad_cid_length');
    expect(outcome(long(QuicType.Initial, new Uint8Array(21), 0x1a2a3a4a))).toBe('fallback');
  });

  it('reads the first fragment, and nothing behind its end', () => {
    const packet = makeUdp(short(cid(PLAIN, '0a02'), 1400));
    expect(outcomeOf(dissector, fragmentsOf(packet, 512)[0])).toBe('server 10.0.2.1');
    expect(outcomeOf(dissector, fragmentsOf(packet, 8)[0])).toBe('drop empty');
  });

  it('says something of every datagram, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (data) => {
        expect(outcome(data)).toMatch(/^(server 10\.0\.[123]\.1|fallback|drop [a-z_]+)$/);
      }),
      { numRuns: 3000 },
    );
  });

  it('leaves other protocols alone', () => {
    expect(outcomeOf(dissector, makePacket())).toBe('fallback');
  });

  it.each([
    ['no configuration', { configs: [] }, /configs/],
    [
      'an unknown server',
      { configs: [{ ...PLAIN, server_ids: { s9: '01' } }] },
      /there is no server s9: known are s1, s2, s3/,
    ],
    ['no server', { configs: [{ ...PLAIN, server_ids: {} }] }, /server_ids is empty/],
    ['one ID twice', { configs: [{ ...PLAIN, server_ids: { s1: '01', s2: '01' } }] }, /have the same ID/],
    [
      'lengths that differ',
      { configs: [{ ...PLAIN, server_ids: { s1: '01', s2: '0102' } }] },
      /1 and 2 bytes/,
    ],
    ['one config ID twice', { configs: [PLAIN, PLAIN] }, /config ID 0 is there twice/],
    ['a short key', { configs: [{ ...PLAIN, key: '00' }] }, /key of 1 octets/],
    ['no hexadecimal', { configs: [{ ...PLAIN, key: 'xy' }] }, /expected 16 bytes in hexadecimal/],
    ['a short nonce', { configs: [{ ...PLAIN, nonce_length: 3 }] }, /nonces of 3 octets/],
    ['config ID 7', { configs: [{ ...PLAIN, config_id: 7 }] }, /config_id/],
  ])('refuses %s', (_what, options, message) => {
    expect(() => make('quic-cid', options, CONTEXT)).toThrow(message);
  });
});
