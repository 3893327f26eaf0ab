import { createCipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeUnroutableCidInto,
  QUIC_LB_MAX_SERVER_ID,
  QUIC_LB_TOO_SHORT,
  QUIC_LB_UNKNOWN_CONFIG,
  QUIC_LB_UNROUTABLE,
  type QuicLbConfig,
  QuicLbDecoder,
  QuicLbEncoder,
  QuicLbError,
  quicLbConfigId,
  quicLbSelfEncodedLength,
} from '../../src/flow/quic-lb.js';
import { FourPassCipher } from '../../src/flow/quic-lb-cipher.js';
import { construct, dataOf, GuardedDataView, hex, toHex } from '../wire/bytes.js';

interface Vector {
  name: string;
  crBits: number;
  key: string | null;
  serverId: string;
  nonce: string;
  cid: string;
  printed?: Record<string, string>;
}

interface WorkedExample extends Vector {
  key: string;
  halves: { left: string; right: string }[];
  aes: { input: string; output: string }[];
}

const { vectors }: { vectors: Vector[] } = JSON.parse(
  readFileSync(new URL('../data/quic-lb.json', import.meta.url), 'utf8'),
);
const vectorOf = (name: string): Vector => {
  const found = vectors.find((vector) => vector.name === name);
  if (found === undefined) throw new Error(`quic-lb.json: no vector ${name}`);
  return found;
};
const example = vectorOf('example/four passes') as WorkedExample;

const KEY = hex('8f95f09245765f80256934e50c66207f');
const OTHER_KEY = hex('fdf726a9893ec05c0632d3956680baf0');

const config = (changes: Partial<QuicLbConfig> = {}): QuicLbConfig => ({
  configId: 0,
  serverIdLength: 3,
  nonceLength: 4,
  key: KEY,
  firstOctetEncodesCidLength: true,
  ...changes,
});

function configOf({ crBits, key, serverId, nonce }: Vector): QuicLbConfig {
  return config({
    configId: crBits,
    serverIdLength: serverId.length / 2,
    nonceLength: nonce.length / 2,
    key: key === null ? null : hex(key),
  });
}

const encode = (of: QuicLbConfig, serverId: Uint8Array, nonce: Uint8Array, randomBits = 0): Uint8Array =>
  construct((data, offset) => new QuicLbEncoder(of).encodeInto(data, offset, serverId, nonce, randomBits));

/** The server ID in hexadecimal, or the code. Sees that nothing else is read or written. */
function decode(decoder: QuicLbDecoder, cid: Uint8Array, length = cid.length): string | number {
  const before = 7;
  const bytes = new Uint8Array(before + length + 7).fill(0xff);
  bytes.set(cid.subarray(0, length), before);
  const data = new GuardedDataView(bytes.buffer, before, before + length);
  const into = new Uint8Array(QUIC_LB_MAX_SERVER_ID + 5).fill(0xa5);
  const result = decoder.decode(data, before, length, into);
  expect(into.subarray(Math.max(0, result)).every((octet) => octet === 0xa5)).toBe(true);
  return result < 0 ? result : toHex(into.subarray(0, result));
}

function aes(key: Uint8Array, input: string): string {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return cipher.update(input, 'hex', 'hex') + cipher.final('hex');
}

/**
 * The four passes on strings of hexadecimal digits: slow, obvious, and without a mask, because half a text of n octets
 * is n digits, odd or not.
 */
function slowPasses(key: Uint8Array, text: string, passes: readonly number[]): string {
  const octets = text.length / 2;
  const isOdd = octets % 2 === 1;
  const kept = 2 * Math.ceil(octets / 2);
  let left = text.slice(0, octets);
  let right = text.slice(octets);
  for (const pass of passes) {
    const source = pass % 2 === 1 ? left + (isOdd ? '0' : '') : (isOdd ? '0' : '') + right;
    const tail = [octets, pass].map((octet) => octet.toString(16).padStart(2, '0')).join('');
    const output = aes(key, source.padEnd(28, '0') + tail).slice(0, kept);
    if (pass % 2 === 1) right = xor(right, isOdd ? output.slice(1) : output);
    else left = xor(left, isOdd ? output.slice(0, -1) : output);
  }
  return left + right;
}

function xor(a: string, b: string): string {
  expect(a.length).toBe(b.length);
  return [...a]
    .map((digit, i) => (Number.parseInt(digit, 16) ^ Number.parseInt(b[i], 16)).toString(16))
    .join('');
}

/** What follows the first octet, made the slow way. */
function slowCiphertext(key: Uint8Array | null, plaintext: string): string {
  if (key === null) return plaintext;
  return plaintext.length === 32 ? aes(key, plaintext) : slowPasses(key, plaintext, [1, 2, 3, 4]);
}

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** Every server ID length that leaves room for a nonce. */
const splitsOf = (plaintextLength: number): number[] =>
  Array.from({ length: plaintextLength - 4 }, (_, index) => index + 1);
const PLAINTEXT_LENGTHS = Array.from({ length: 15 }, (_, index) => index + 5);

describe('vectors of the draft', () => {
  it.each(vectors)('$name', (vector) => {
    const of = configOf(vector);
    expect(toHex(encode(of, hex(vector.serverId), hex(vector.nonce)))).toBe(vector.cid);
    expect(decode(new QuicLbDecoder([of]), hex(vector.cid))).toBe(vector.serverId);
  });

  it('has two connection IDs in print that are none of their configuration', () => {
    const plain = vectorOf('unencrypted/1');
    const unencrypted = plain.printed?.cid ?? '';
    expect(decode(new QuicLbDecoder([configOf(plain)]), hex(unencrypted))).toBe(QUIC_LB_TOO_SHORT);
    const encrypted = vectorOf('encrypted/3').printed?.cid ?? '';
    const decoder = new QuicLbDecoder([0, 1, 2, 3].map((n) => configOf(vectorOf(`encrypted/${n}`))));
    // It is taken for one of config 0, whose server IDs have three octets.
    expect(quicLbConfigId(hex(encrypted)[0])).toBe(0);
    expect(decode(decoder, hex(encrypted))).toHaveLength(6);
    expect(decode(decoder, hex('72', encrypted.slice(2)))).toBe('ed793a51d49b8f5fab');
  });
});

describe('the worked example of four passes', () => {
  const { key, serverId, nonce, cid, halves, aes: blocks } = example;
  const cipher = new FourPassCipher(hex(key), 7);
  const state = () => ({
    left: toHex(cipher.left.subarray(0, cipher.halfLen)),
    right: toHex(cipher.right.subarray(0, cipher.halfLen)),
  });

  it('step by step', () => {
    cipher.split(dataOf(hex(serverId, nonce)), 0);
    expect(state()).toEqual(halves[0]);
    for (const [index, { input, output }] of blocks.entries()) {
      const before = index % 2 === 0 ? state().left : state().right;
      expect(`${before.padEnd(28, '0')}070${index + 1}`).toBe(input);
      expect(aes(hex(key), input)).toBe(output);
      cipher.pass(index + 1);
      expect(state()).toEqual(halves[index + 1]);
    }
    const whole = Uint8Array.from({ length: 7 }, (_, index) => cipher.octet(index));
    expect(toHex(whole)).toBe(cid.slice(2));
  });

  it('and back', () => {
    cipher.split(dataOf(hex(cid)), 1);
    for (let pass = 4; pass >= 1; pass--) {
      expect(state()).toEqual(halves[pass]);
      cipher.pass(pass);
    }
    expect(state()).toEqual(halves[0]);
  });

  it('makes the fourth pass only where the server ID reaches beyond the left half', () => {
    const into = new Uint8Array(7);
    cipher.decryptInto(dataOf(hex(cid)), 1, 3, into);
    expect(toHex(into)).toBe(`${serverId}00000000`);
    expect(state()).toEqual(halves[1]);
    cipher.decryptInto(dataOf(hex(cid)), 1, 4, into);
    expect(toHex(into)).toBe(`${serverId}9c000000`);
    expect(state()).toEqual(halves[0]);
  });

  it('is what the slow twin makes of it', () => {
    expect(slowPasses(hex(key), serverId + nonce, [1, 2, 3, 4])).toBe(cid.slice(2));
    expect(slowPasses(hex(key), cid.slice(2), [4, 3, 2, 1])).toBe(serverId + nonce);
  });

  it('shares the middle octet of an odd length (section 5.4.2.3, step 2)', () => {
    cipher.split(dataOf(hex('7040b81b55ccf3')), 0);
    expect(state()).toEqual({ left: '7040b810', right: '0b55ccf3' });
  });
});

describe('any connection ID', () => {
  it.each(PLAINTEXT_LENGTHS)('of %i octets comes back, however they are split', (plaintextLength) => {
    for (const serverIdLength of splitsOf(plaintextLength)) {
      const nonceLength = plaintextLength - serverIdLength;
      const input = fc.record({
        key: fc.option(octets(16)),
        serverId: octets(serverIdLength),
        nonce: octets(nonceLength),
        configId: fc.nat({ max: 6 }),
        firstOctetEncodesCidLength: fc.boolean(),
        randomBits: fc.nat({ max: 31 }),
      });
      fc.assert(
        fc.property(input, ({ key, serverId, nonce, randomBits, ...rest }) => {
          const of = config({ ...rest, key, serverIdLength, nonceLength });
          const cid = encode(of, serverId, nonce, randomBits);
          expect(quicLbConfigId(cid[0])).toBe(of.configId);
          expect(cid[0] & 0x1f).toBe(of.firstOctetEncodesCidLength ? plaintextLength : randomBits);
          expect(toHex(cid.subarray(1))).toBe(slowCiphertext(key, toHex(serverId) + toHex(nonce)));
          expect(decode(new QuicLbDecoder([of]), cid)).toBe(toHex(serverId));
        }),
        { numRuns: 12 },
      );
    }
  });

  it('is decoded again and again with the same ciphers', () => {
    const configs = [
      config(),
      config({ configId: 1, serverIdLength: 8, nonceLength: 8 }),
      config({ configId: 2, serverIdLength: 13, nonceLength: 6 }),
    ];
    const decoder = new QuicLbDecoder(configs);
    const encoders = configs.map((of) => new QuicLbEncoder(of));
    const cid = new Uint8Array(20);
    const into = new Uint8Array(QUIC_LB_MAX_SERVER_ID);
    let wrong = 0;
    for (let n = 0; n < 12_000; n++) {
      const { serverIdLength, nonceLength } = configs[n % 3];
      const serverId = new Uint8Array(serverIdLength).fill(n >>> 8);
      const nonce = new Uint8Array(nonceLength).fill(n);
      const length = encoders[n % 3].encodeInto(dataOf(cid), 0, serverId, nonce, 0);
      const found = decoder.decode(dataOf(cid), 0, length, into);
      if (toHex(into.subarray(0, found)) !== toHex(serverId)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('gives another server ID under another key', () => {
    const lengths = fc.integer({ min: 8, max: 15 }).chain((serverIdLength) =>
      fc.record({
        serverId: octets(serverIdLength),
        nonce: fc.integer({ min: 4, max: 19 - serverIdLength }).chain(octets),
        firstOctetEncodesCidLength: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(lengths, ({ serverId, nonce, firstOctetEncodesCidLength }) => {
        const of = config({
          serverIdLength: serverId.length,
          nonceLength: nonce.length,
          firstOctetEncodesCidLength,
        });
        const cid = encode(of, serverId, nonce);
        const found = decode(new QuicLbDecoder([{ ...of, key: OTHER_KEY }]), cid);
        // By chance one of 2^64.
        expect(found).not.toBe(toHex(serverId));
        expect(found).toHaveLength(2 * serverId.length);
      }),
    );
  });

  it('does not follow a key that its owner overwrites', () => {
    const key = Uint8Array.from(KEY);
    const decoder = new QuicLbDecoder([config({ key })]);
    key.fill(0);
    expect(decode(decoder, hex('0720b1d07b359d3c'))).toBe('ed793a');
  });
});

/** One of each kind, with all rotation bits but 6 taken. */
const SEVERAL: readonly QuicLbConfig[] = [
  config(),
  config({ configId: 1, serverIdLength: 8, nonceLength: 8 }),
  config({ configId: 2, key: null }),
  config({ configId: 3, serverIdLength: 15, firstOctetEncodesCidLength: false }),
  config({ configId: 4, key: OTHER_KEY }),
  config({ configId: 5, serverIdLength: 1, nonceLength: 18, key: null, firstOctetEncodesCidLength: false }),
];

describe('several configurations at once', () => {
  const decoder = new QuicLbDecoder(SEVERAL);

  it.each(SEVERAL)('config $configId', (of) => {
    const serverId = Uint8Array.from({ length: of.serverIdLength }, (_, index) => 0xc0 + index);
    const nonce = Uint8Array.from({ length: of.nonceLength }, (_, index) => 0x10 + index);
    const cid = encode(of, serverId, nonce, 0x15);
    expect(decode(decoder, cid)).toBe(toHex(serverId));
    expect(decode(new QuicLbDecoder(SEVERAL.filter((other) => other !== of)), cid)).toBe(
      QUIC_LB_UNKNOWN_CONFIG,
    );
    // What the server appends does not matter, nor what follows in the packet.
    const longer = Uint8Array.from([...cid, 1, 2, 3]);
    expect(decode(decoder, longer)).toBe(toHex(serverId));
    for (let length = 0; length < cid.length; length++) {
      expect(decode(decoder, cid, length)).toBe(QUIC_LB_TOO_SHORT);
    }
  });

  it('knows nothing without any', () => {
    const none = new QuicLbDecoder([]);
    for (let configId = 0; configId < 7; configId++) {
      expect(decode(none, Uint8Array.of(configId << 5, 1, 2, 3, 4, 5))).toBe(QUIC_LB_UNKNOWN_CONFIG);
    }
    expect(decode(none, new Uint8Array(0))).toBe(QUIC_LB_TOO_SHORT);
  });

  it('takes any octets', () => {
    const seen = new Set<string | number>();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (cid) => {
        const result = decode(decoder, cid);
        const of = SEVERAL.find(({ configId }) => configId === cid[0] >>> 5);
        if (typeof result === 'string') expect(result).toHaveLength(2 * (of?.serverIdLength ?? -1));
        else expect([QUIC_LB_UNROUTABLE, QUIC_LB_UNKNOWN_CONFIG, QUIC_LB_TOO_SHORT]).toContain(result);
        seen.add(typeof result === 'string' ? 'a server ID' : result);
      }),
      { numRuns: 3000 },
    );
    expect(seen.size).toBe(4);
  });
});

describe('the first octet', () => {
  const length = 8;
  const decoder = new QuicLbDecoder([config({ key: null })]);
  const withFirst = (first: number) => Uint8Array.of(first, 0xc4, 0x60, 0x5e, 1, 2, 3, 4, 5, 6);

  it('tells the length where servers say so, and only a possible one is believed', () => {
    expect(quicLbSelfEncodedLength(0b010_00111)).toBe(length);
    for (let claimed = 1; claimed <= 32; claimed++) {
      const isPossible = claimed >= length && claimed <= 10;
      expect(decode(decoder, withFirst(claimed - 1))).toBe(isPossible ? 'c4605e' : QUIC_LB_TOO_SHORT);
    }
  });

  it('is random where they do not', () => {
    const of = config({ key: null, firstOctetEncodesCidLength: false });
    for (let bits = 0; bits < 32; bits++) {
      expect(decode(new QuicLbDecoder([of]), withFirst(bits))).toBe('c4605e');
    }
    // Random bits beyond the five do not reach the config ID.
    expect(encode({ ...of, configId: 2 }, hex('c4605e'), hex('01020304'), 0xff)[0]).toBe(0b010_11111);
  });
});

describe('a connection ID that names no server', () => {
  it('is one with config ID 7, whatever follows', () => {
    const decoder = new QuicLbDecoder(SEVERAL);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 19 }), (random) => {
        const cid = construct((data, offset) => encodeUnroutableCidInto(data, offset, random));
        expect(toHex(cid)).toBe(toHex(Uint8Array.of(0xe0 | random.length, ...random)));
        expect(quicLbSelfEncodedLength(cid[0])).toBe(cid.length);
        expect(decode(decoder, cid)).toBe(QUIC_LB_UNROUTABLE);
      }),
    );
    expect(() => encodeUnroutableCidInto(dataOf(new Uint8Array(40)), 0, new Uint8Array(20))).toThrow(
      /connection ID of 21 octets: at most 20 are allowed/,
    );
  });
});

describe('what is wrong', () => {
  it.each<[Partial<QuicLbConfig>, string, RegExp]>([
    [{ configId: 7 }, 'bad-config-id', /^config ID 7: choose 0 to 6 \(7 means unroutable\)$/],
    [{ configId: -1 }, 'bad-config-id', /^config ID -1/],
    [{ configId: 0.5 }, 'bad-config-id', /^config ID 0.5/],
    [{ serverIdLength: 0 }, 'bad-server-id-length', /^config ID 0: server IDs of 0 octets: choose 1 to 15$/],
    [{ serverIdLength: 16 }, 'bad-server-id-length', /of 16 octets/],
    [{ nonceLength: 3 }, 'bad-nonce-length', /nonces of 3 octets: with server IDs of 3, choose 4 to 16$/],
    [{ serverIdLength: 15, nonceLength: 5 }, 'bad-nonce-length', /with server IDs of 15, choose 4 to 4$/],
    [{ nonceLength: Number.NaN }, 'bad-nonce-length', /of NaN octets/],
    [{ key: new Uint8Array(15) }, 'bad-key-length', /^config ID 0: a key of 15 octets: it must have 16$/],
  ])('with a configuration: %o', (changes, code, message) => {
    const wrong = config(changes);
    for (const attempt of [() => new QuicLbEncoder(wrong), () => new QuicLbDecoder([wrong])]) {
      expect(attempt).toThrow(QuicLbError);
      expect(attempt).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
    }
  });

  it('with two of them', () => {
    expect(() => new QuicLbDecoder([config(), config({ key: null })])).toThrow(
      expect.objectContaining({
        code: 'duplicate-config-id',
        message: expect.stringMatching(/^config ID 0 is there twice/),
      }),
    );
  });

  it('with what an ID is to be made of: nothing is written', () => {
    const bytes = new Uint8Array(20).fill(0xa5);
    const encoder = new QuicLbEncoder(config());
    expect(() => encoder.encodeInto(dataOf(bytes), 0, new Uint8Array(2), new Uint8Array(4), 0)).toThrow(
      /server ID of 2 octets: the configuration says 3/,
    );
    expect(() => encoder.encodeInto(dataOf(bytes), 0, new Uint8Array(3), new Uint8Array(5), 0)).toThrow(
      /nonce of 5 octets: the configuration says 4/,
    );
    expect(bytes.every((octet) => octet === 0xa5)).toBe(true);
  });
});
