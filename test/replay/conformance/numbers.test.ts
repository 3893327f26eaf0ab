import { describe, expect, it } from 'vitest';
import { checksums } from '../../../src/replay/conformance/checksums.js';
import { halfSipHashVectors, sipHashVectors } from '../../../src/replay/conformance/hashes.js';
import { quicLbVectors } from '../../../src/replay/conformance/quic-lb.js';
import { failures, readPlainVectors, runAll, runDamaged, tally } from './support.js';

interface NumbersFile {
  format: string;
  vectors: Record<string, unknown>[];
}

describe('vectors of hashes', () => {
  it.each([
    [sipHashVectors, 'siphash-2-4-64'],
    [halfSipHashVectors, 'halfsiphash-2-4-32'],
  ])('all pass: $name', (format, name) => {
    expect(tally(runAll(format, readPlainVectors(name)))).toEqual({ passed: 64, failed: 0, 'not-asked': 0 });
    const file = readPlainVectors<{ digests: unknown[] }>(name);
    file.digests[9] = String(file.digests[9]).replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    file.digests[10] = 'zz';
    expect(failures(format, file).map(({ detail }) => detail[0])).toEqual([
      `expected ${file.digests[9]}`,
      expect.stringMatching(/^vector 10 is malformed: expected \d+ hexadecimal digits, got "zz"/),
    ]);
    expect(runDamaged(format, file, 200).refused).toBe(0);
    const many = { digests: new Array(1025).fill(file.digests[0]) };
    expect(() => [...format.run(many)]).toThrow(/1025 digests are more than the 1024 that are run/);
  });
});

describe('vectors of checksums', () => {
  const read = (): NumbersFile => readPlainVectors('checksums');

  it('all pass', () => {
    const results = runAll(checksums, read());
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(results.map(({ group }) => group)).toEqual([
      ...new Array(5).fill('sums'),
      ...new Array(3).fill('updates'),
      ...new Array(12).fill('packets'),
    ]);
  });

  it.each<[number, Record<string, unknown>, RegExp]>([
    [0, { sum: 'ddf3' }, /^sum: expected 0xddf3, got 0xddf2/],
    [0, { checksum: '220e' }, /^checksum: expected 0x220e, got 0x220d/],
    [5, { checksum: 'ffff' }, /^checksum: expected 0xffff, got 0x0000/],
    [
      5,
      { update: { checksum: 'dd2f', from: '5555', to: '00003285' } },
      /^vector 5 is malformed: update: expected from and to/,
    ],
    [8, { ipv4: 'ad4e' }, /^ipv4, as written: expected 0xad4e, got 0xad4f/],
    [8, { transport: '97df' }, /^transport, as written: expected 0x97df, got 0x97de/],
    [16, { written: undefined }, /^transport: expected to be found ok, got bad-checksum/],
    [8, { packet: '45' }, /^the packet cannot be read: truncated/],
    [8, { packet: 'zz' }, /^vector 8 is malformed: packet: expected bytes in hexadecimal/],
    [8, { packet: undefined }, /^vector 8 is malformed: packet: .*, got nothing/],
  ])('fail when something is changed: %i %o', (index, change, message) => {
    const file = read();
    Object.assign(file.vectors[index], change);
    const failed = failures(checksums, file);
    expect(failed).toHaveLength(1);
    expect(failed[0].detail[0]).toMatch(message);
  });

  it('end with results, whatever was done to them', () => {
    expect(runDamaged(checksums, read(), 500).refused).toBe(0);
    expect(failures(checksums, { format: 'checksums', vectors: [7, { name: 'x' }] })).toHaveLength(2);
  });
});

describe('vectors of QUIC-LB', () => {
  const read = (): NumbersFile => readPlainVectors('quic-lb');

  it('all pass', () => {
    const results = runAll(quicLbVectors, read());
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(results.map(({ group }) => group)).toEqual([
      ...new Array(2).fill('unencrypted'),
      ...new Array(4).fill('encrypted'),
      'example',
    ]);
  });

  it.each<[number, Record<string, unknown>, RegExp]>([
    [0, { cid: '07c4605e4504cc4e' }, /^connection ID:\n {2}1 of 8 bytes differ, the first at 7/],
    [0, { serverId: 'c4605f' }, /^connection ID:\n.*\nserver ID:\n {2}1 of 3 bytes differ/s],
    [1, { cid: '20a350d28b4203487d970b' }, /no server ID is found in the connection ID \(code -3\)/],
    [5, { cid: '125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc' }, /no server ID .* \(code -2\)/],
    [2, { key: '00' }, /^config ID 0: a key of 1 octets: it must have 16/],
    [2, { crBits: 7 }, /^config ID 7: choose 0 to 6/],
    [2, { nonce: 'ee080d' }, /nonces of 3 octets/],
    [2, { cid: 'x' }, /^vector 2 is malformed: cid: expected bytes in hexadecimal/],
  ])('fail when something is changed: %i %o', (index, change, message) => {
    const file = read();
    Object.assign(file.vectors[index], change);
    const failed = failures(quicLbVectors, file);
    expect(failed).toHaveLength(1);
    expect(failed[0].detail.join('\n')).toMatch(message);
  });

  it('end with results, whatever was done to them', () => {
    expect(runDamaged(quicLbVectors, read(), 300).refused).toBe(0);
    expect(failures(quicLbVectors, { format: 'quic-lb', vectors: [7, { name: 'x' }] })).toHaveLength(2);
  });
});
