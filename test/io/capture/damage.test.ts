import { deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CaptureError } from '../../../src/io/capture/errors.js';
import { Blocks, type Contents, pcap, readBytes } from './files.js';

/** Captures that are cut, damaged, or arrive in small pieces: all that can be read is, and nothing throws. */

const little = new Blocks(true);
const big = new Blocks(false);
const text = (length: number) => Buffer.alloc(length, 'abcdefg');

/** @field boundaries how often one record or block ends and another begins */
const FILES: readonly (readonly [name: string, file: Buffer, boundaries: number])[] = [
  [
    'pcap',
    pcap(
      {},
      [13, 0, 200, 7].map((length, i) => ({ seconds: i, fraction: i, bytes: text(length) })),
    ),
    4,
  ],
  [
    'pcap, big-endian',
    pcap(
      { littleEndian: false },
      [60, 61].map((length) => ({ seconds: 1, fraction: 2, bytes: text(length) })),
    ),
    2,
  ],
  [
    'pcapng',
    Buffer.concat([
      ...[little.section(), little.interface(1, 0, little.body().option(2, 'lo'))],
      ...[little.packet(text(13), 5n, 0, little.body().option(1, 'a comment')), little.simplePacket(text(3))],
      ...[
        little.block(0xbad, little.body().raw('somebody else').pad()),
        little.obsoletePacket(text(1), 1n, 0, 0),
      ],
      ...[big.section(), big.interface(101), big.packet(text(31), 6n)],
      ...[little.section(), little.interface(113), little.packet(text(2), 7n), little.packet(text(5), 8n)],
    ]),
    12,
  ],
];

/** What was read of a part is what the whole begins with. */
function expectStart(part: Contents, whole: Contents): void {
  expect(whole.packets.slice(0, part.packets.length)).toEqual(part.packets);
}

describe.each(FILES)('%s', (_name, file, boundaries) => {
  it('is the same in pieces of any size', async () => {
    const whole = await readBytes(file);
    expect(whole.cut).toBe(null);
    for (const atOnce of [1, 2, 3, 5, 7, 12, 16, 27, 64, file.length - 1]) {
      const inPieces = await readBytes(file, atOnce);
      expect(inPieces.packets).toEqual(whole.packets);
      expect(inPieces.cut).toBe(null);
    }
  });

  it('cut anywhere: what is whole is read, and where it ends is said', async () => {
    const whole = await readBytes(file);
    let before = 0;
    let uncut = 0;
    for (let length = 4; length < file.length; length++) {
      const part = await readBytes(file.subarray(0, length));
      expectStart(part, whole);
      // A longer part never has fewer packets.
      expect(part.packets.length).toBeGreaterThanOrEqual(before);
      before = part.packets.length;
      if (part.cut === null) {
        // Between two records: nobody can know that there were more.
        uncut++;
      } else {
        const packets = part.packets.length;
        expect(part.cut).toMatch(
          new RegExp(
            `^the file ends at byte ${length}, after ${packets} packets?, in the middle of (record|block) \\d+$|` +
              `^the file ends at byte ${length}, after 0 packets, in the middle of the (file|section) header$`,
          ),
        );
      }
    }
    expect(before).toBe(whole.packets.length - 1);
    expect(uncut).toBe(boundaries);
  });

  it('compressed and cut anywhere', async () => {
    const whole = await readBytes(file);
    const compressed = gzipSync(file);
    for (let length = 2; length < compressed.length; length++) {
      let part: Contents;
      try {
        part = await readBytes(compressed.subarray(0, length), 5);
      } catch (error) {
        // So little that it is not known what is in it.
        expect(error).toBeInstanceOf(CaptureError);
        expect(String(error)).toMatch(/what is compressed in the file is .*\(the gzip data ends early\)/);
        continue;
      }
      expectStart(part, whole);
      expect(part.cut).toMatch(
        /^the gzip data ends early at byte \d+, after \d+ packets?, (before|in the middle of) /,
      );
    }
  });

  it('damaged anywhere: no exception but that it is no capture, and no end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.integer({ min: 1, max: 2 * file.length }),
        async (changes, atOnce) => {
          const mutated = Buffer.from(file);
          for (const [at, value] of changes) mutated[at] = value;
          try {
            const { cut, packets } = await readBytes(mutated, atOnce);
            for (const { bytes } of packets) expect(bytes.length).toBeLessThanOrEqual(2 * file.length);
            expect(cut === null || cut.length > 20).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(CaptureError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a damaged file', () => {
  const start = Buffer.concat([little.section(), little.interface(1), little.packet(text(4))]);
  const damaged = async (...blocks: Buffer[]) => {
    const { packets, cut } = await readBytes(Buffer.concat([start, ...blocks, little.packet(text(5))]));
    expect(packets).toHaveLength(1);
    expect(cut).toMatch(new RegExp(`^the file is damaged at byte ${start.length}, after 1 packet: block 4 `));
    return cut?.replace(/^.*: block 4 /, '');
  };
  const packet = little.packet(text(4));
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(packet);
    copy.writeUInt32LE(value, at);
    return copy;
  };

  it('says what is wrong with a block', async () => {
    expect(await damaged(changed(packet.length - 4, 40))).toBe(
      'ends with another length than it begins with',
    );
    expect(await damaged(changed(4, 8))).toBe('claims to be 8 bytes long');
    expect(await damaged(changed(4, 37))).toBe('claims to be 37 bytes long');
    expect(await damaged(changed(4, 0x7fff_fff0))).toBe('claims to be 2147483632 bytes long');
    expect(await damaged(changed(8, 3))).toBe(
      'is of interface 3, and its section has named 1 interface so far',
    );
    expect(await damaged(changed(20, 9))).toBe('claims a packet of 9 bytes and is 36 bytes long');
    expect(await damaged(little.block(6, little.body().u32(0, 0)))).toBe('is too short for a packet');
    expect(await damaged(little.block(2, little.body().u32(0)))).toBe('is too short for a packet');
    expect(await damaged(little.block(3, little.body()))).toBe('is too short for a packet');
    expect(await damaged(little.block(1, little.body().u32(1)))).toBe('is too short for an interface');
    expect(await damaged(little.block(0x0a0d0d0a, little.body().u32(0x1a2b3c4d)))).toBe(
      'is too short for a section header',
    );
    expect(await damaged(little.block(0x0a0d0d0a, little.body().u32(5)))).toBe(
      'is a section header without the byte-order magic',
    );
    const next = little.body().u32(0x1a2b3c4d).u16(2, 0).u32(0, 0);
    expect(await damaged(little.block(0x0a0d0d0a, next))).toBe(
      'is a section in version 2 of pcapng: only version 1 is known',
    );
  });

  it('says so of packets in a section without interfaces', async () => {
    for (const block of [
      little.packet(text(1)),
      little.simplePacket(text(1)),
      little.obsoletePacket(text(1), 0n, 0, 0),
    ]) {
      const { cut } = await readBytes(Buffer.concat([little.section(), block]));
      expect(cut).toMatch(/block 2 is of interface 0, and its section has named 0 interfaces so far$/);
    }
  });

  it('says where a pcap record claims to be larger than any packet', async () => {
    const good = pcap({}, [{ seconds: 0, fraction: 0, bytes: text(10) }]);
    const { packets, cut } = await readBytes(Buffer.concat([good, Buffer.alloc(100, 0xff)]));
    expect(packets).toHaveLength(1);
    expect(cut).toBe(
      `the file is damaged at byte ${good.length}, after 1 packet: record 2 claims to have 4294967295 bytes`,
    );
  });

  it('reads packets as large as are possible, and then small ones', async () => {
    const lengths = [10, 300_000, 20, 16 << 20, 30];
    const packets = lengths.map((length) => ({ seconds: 0, fraction: 0, bytes: Buffer.alloc(length, 7) }));
    const read = await readBytes(pcap({}, packets), 1 << 20);
    expect(read.cut).toBe(null);
    expect(read.packets.map(({ bytes }) => bytes.length / 2)).toEqual(lengths);
    const tooLarge = pcap({}, [{ seconds: 0, fraction: 0, bytes: Buffer.alloc((16 << 20) + 1) }]);
    expect((await readBytes(tooLarge)).cut).toMatch(/record 1 claims to have 16777217 bytes$/);
  });

  it('cannot make us remember interfaces without end', async () => {
    const one = little.interface(1, 0, little.body().option(2, text(60_000)));
    const { cut, reader } = await readBytes(Buffer.concat([little.section(), ...Array(400).fill(one)]));
    expect(cut).toMatch(/is interface 279: more than anybody has$/);
    expect(reader.interfaces).toHaveLength(278);
  });

  it('of compressed data is read up to the damage', async () => {
    const packets = Array.from({ length: 5000 }, (_, i) => ({
      seconds: i,
      fraction: i,
      bytes: text(i % 90),
    }));
    const file = pcap({}, packets);
    const whole = await readBytes(file);
    const compressed = gzipSync(file);
    // The checksum at the end, and a block type that does not exist in the middle.
    const checksum = Buffer.from(compressed);
    checksum[checksum.length - 8] ^= 1;
    const inside = Buffer.concat([
      gzipSync(file.subarray(0, 100_000)),
      Buffer.from('1f8b08000000000000ff07', 'hex'),
    ]);
    for (const damaged of [checksum, inside]) {
      const { packets: read, cut } = await readBytes(damaged);
      expect(read.length).toBeGreaterThan(0);
      expect(read).toEqual(whole.packets.slice(0, read.length));
      expect(cut).toMatch(/^the gzip data is damaged \(.*\) at byte \d+, after \d+ packets, /);
    }
  });

  it('of a few bytes that decompress to gigabytes takes bounded memory', async () => {
    // Deflate cannot make more than a thousandfold of its input, and input is taken in small pieces.
    const zeros = deflateRawSync(Buffer.alloc(64 << 20));
    const header = Buffer.from('1f8b08000000000000ff', 'hex');
    const before = process.memoryUsage().rss;
    await expect(readBytes(Buffer.concat([header, zeros]))).rejects.toThrow(/is no capture, but zeros/);
    expect(process.memoryUsage().rss - before).toBeLessThan(60 << 20);
  });
});
