import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CaptureReader } from '../../../src/io/capture/reader.js';
import { CaptureRecord } from '../../../src/io/capture/record.js';
import { openWriter } from '../../../src/io/capture/writer.js';
import { Blocks, MemorySource, type PcapPacket, pcap, readBytes } from './files.js';

const FIRST = Buffer.from('first packet');
const SECOND = Buffer.from('second');

/** As it is read, with what most tests do not care about. */
function packet(bytes: Uint8Array, fields: object = {}) {
  return {
    seconds: 0,
    nanoseconds: 0,
    originalLength: bytes.length,
    linkType: 1,
    interface: 0,
    bytes: Buffer.from(bytes).toString('hex'),
    comments: [],
    ...fields,
  };
}

describe('pcap', () => {
  const packets: PcapPacket[] = [
    { seconds: 1_700_000_000, fraction: 123_456, bytes: FIRST, originalLength: 1500 },
    { seconds: 0xffff_ffff, fraction: 999_999, bytes: SECOND },
  ];

  it.each([
    ['little-endian', 'microseconds', true, 0xa1b2c3d4, 1000],
    ['big-endian', 'microseconds', false, 0xa1b2c3d4, 1000],
    ['little-endian', 'nanoseconds', true, 0xa1b23c4d, 1],
    ['big-endian', 'nanoseconds', false, 0xa1b23c4d, 1],
  ])('%s, %s', async (_order, _unit, littleEndian, magic, unit) => {
    const { packets: read, cut, reader } = await readBytes(pcap({ littleEndian, magic }, packets));
    expect(read).toEqual([
      packet(FIRST, { seconds: 1_700_000_000, nanoseconds: 123_456 * unit, originalLength: 1500 }),
      packet(SECOND, { seconds: 0xffff_ffff, nanoseconds: 999_999 * unit }),
    ]);
    expect(cut).toBe(null);
    expect(reader.format).toBe('pcap');
    expect(reader.interfaces).toEqual([{ linkType: 1, snapLength: 65_535, name: '', options: [] }]);
  });

  it('leaves out of the link type what it says of the frame check sequence', async () => {
    const { packets: read } = await readBytes(pcap({ linkType: 0x4400_0065 }, packets));
    expect(read.map(({ linkType }) => linkType)).toEqual([101, 101]);
  });

  it('carries a fraction of more than a second', async () => {
    const file = pcap({}, [{ seconds: 10, fraction: 2_500_000, bytes: FIRST }]);
    expect((await readBytes(file)).packets).toEqual([
      packet(FIRST, { seconds: 12, nanoseconds: 500_000_000 }),
    ]);
  });

  it('may have no packets, or empty ones', async () => {
    expect(await readBytes(pcap({}, []))).toMatchObject({ packets: [], cut: null });
    const file = pcap({}, [{ seconds: 1, fraction: 0, bytes: new Uint8Array(0) }]);
    expect((await readBytes(file)).packets).toEqual([packet(new Uint8Array(0), { seconds: 1 })]);
  });
});

describe.each([
  ['little-endian', true],
  ['big-endian', false],
])('pcapng, %s', (_order, littleEndian) => {
  const blocks = new Blocks(littleEndian);

  it('reads enhanced, simple and obsolete packets of several interfaces', async () => {
    const file = Buffer.concat([
      blocks.section(),
      blocks.interface(101, 8, blocks.body().option(2, 'eth0').option(0, '')),
      blocks.interface(113),
      blocks.packet(FIRST, 1_700_000_000_000_001n, 1, blocks.body(), 99),
      blocks.simplePacket(SECOND.subarray(0, 6)),
      blocks.simplePacket(FIRST.subarray(0, 8), 12),
      blocks.obsoletePacket(SECOND, 5_000_000n, 1, 7),
    ]);
    const { packets, cut, reader } = await readBytes(file);
    expect(packets).toEqual([
      packet(FIRST, {
        seconds: 1_700_000_000,
        nanoseconds: 1000,
        interface: 1,
        linkType: 113,
        originalLength: 99,
      }),
      packet(SECOND, { linkType: 101 }),
      // A simple packet does not say how much of it was captured: the snap length does.
      packet(FIRST.subarray(0, 8), { linkType: 101, originalLength: 12 }),
      packet(SECOND, { seconds: 5, interface: 1, linkType: 113 }),
    ]);
    expect(cut).toBe(null);
    expect(reader.interfaces).toEqual([
      {
        linkType: 101,
        snapLength: 8,
        name: 'eth0',
        options: [{ code: 2, value: new Uint8Array(Buffer.from('eth0')) }],
      },
      { linkType: 113, snapLength: 0, name: '', options: [] },
    ]);
  });

  it('keeps the options of interfaces, numbers in one byte order', async () => {
    const options = blocks
      .body()
      .option(3, 'uplink')
      .option(8, blocks.body().u64(10_000_000_000n).done())
      .option(9, Uint8Array.of(9))
      .option(4, Uint8Array.of(192, 168, 0, 1, 255, 255, 255, 0))
      .option(0, '');
    const { reader } = await readBytes(Buffer.concat([blocks.section(), blocks.interface(1, 0, options)]));
    const speed = new Blocks(true).body().u64(10_000_000_000n).done();
    expect(reader.interfaces[0].options).toEqual([
      { code: 3, value: Uint8Array.from(Buffer.from('uplink')) },
      { code: 8, value: Uint8Array.from(speed) },
      { code: 9, value: Uint8Array.of(9) },
      { code: 4, value: Uint8Array.of(192, 168, 0, 1, 255, 255, 255, 0) },
    ]);
  });

  it('keeps the options of packets', async () => {
    const options = blocks
      .body()
      .option(2, blocks.body().u32(1).done())
      .option(1, 'größer')
      .option(1, 'two')
      .option(0, '');
    const file = Buffer.concat([
      blocks.section(),
      blocks.interface(),
      blocks.packet(SECOND, 0n, 0, options),
      blocks.obsoletePacket(SECOND, 0n, 0, 0, blocks.body().option(1, 'old')),
      blocks.packet(SECOND),
    ]);
    const { packets } = await readBytes(file);
    expect(packets.map(({ comments }) => comments)).toEqual([['größer', 'two'], ['old'], []]);

    const reader = await CaptureReader.from(new MemorySource(file), 'the file');
    const record = new CaptureRecord();
    expect(reader.next(record)).toBe(true);
    expect(record.littleEndian).toBe(littleEndian);
    const raw = record.bytes.subarray(record.optionsOffset, record.optionsOffset + record.optionsLength);
    expect(raw).toEqual(options.done());
    await reader.close();
  });

  it('passes over other blocks, by their length', async () => {
    const custom = blocks.block(0x0000_0bad, blocks.body().u32(32473).raw('whatever').pad());
    const names = blocks.block(4, blocks.body().u32(0));
    const file = Buffer.concat([
      ...[blocks.section(), names, blocks.interface(), custom],
      ...[blocks.packet(FIRST), custom, custom, blocks.packet(SECOND), names],
    ]);
    expect(await readBytes(file)).toMatchObject({ packets: [packet(FIRST), packet(SECOND)], cut: null });
  });

  it('starts anew with every section, in either byte order', async () => {
    const others = new Blocks(!littleEndian);
    const file = Buffer.concat([
      ...[blocks.section(), blocks.interface(1), blocks.packet(FIRST)],
      ...[others.section(), others.interface(101), others.interface(113)],
      ...[others.packet(SECOND, 0n, 1), others.simplePacket(SECOND)],
      ...[blocks.section(), blocks.interface(108), blocks.packet(FIRST)],
    ]);
    const { packets, cut, reader } = await readBytes(file);
    expect(packets).toEqual([
      packet(FIRST),
      packet(SECOND, { interface: 2, linkType: 113 }),
      packet(SECOND, { interface: 1, linkType: 101 }),
      packet(FIRST, { interface: 3, linkType: 108 }),
    ]);
    expect(reader.interfaces).toHaveLength(4);
    expect(cut).toBe(null);
  });
});

describe('a large file', () => {
  it('leaves timers and signals their turn', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'twohop-large-'));
    try {
      const path = join(directory, 'large.pcapng');
      const writer = openWriter(path);
      const iface = writer.addInterface({ linkType: 1 });
      const count = 500_000;
      const bytes = Buffer.alloc(100);
      for (let i = 0; i < count; i++) writer.write(iface, i, 0, bytes, 0, bytes.length, bytes.length, '');
      await writer.close();

      const reader = await CaptureReader.open(path);
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      const record = new CaptureRecord();
      let read = 0;
      do {
        while (reader.next(record)) read++;
      } while (await reader.more());
      clearInterval(timer);
      await reader.close();
      expect(read).toBe(count);
      expect(turns).toBeGreaterThan(0);
      expect(reader.bytesRead).toBe(reader.size);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('timestamps of pcapng', () => {
  const blocks = new Blocks();

  /** In the order in which they are given, because the reader remembers where the last second began. */
  async function times(tsresol: number | null, counts: readonly bigint[], offset?: bigint) {
    const options = blocks.body();
    if (tsresol !== null) options.option(9, Uint8Array.of(tsresol));
    if (offset !== undefined) options.option(14, blocks.body().u64(BigInt.asUintN(64, offset)).done());
    const packets = counts.map((count) => blocks.packet(FIRST, count));
    const file = Buffer.concat([blocks.section(), blocks.interface(1, 0, options), ...packets]);
    return (await readBytes(file)).packets.map(({ seconds, nanoseconds }) => [seconds, nanoseconds]);
  }

  /** What a count of units means, the slow way; cut to nanoseconds. */
  function meaning(count: bigint, unitsPerSecond: bigint, offset: bigint) {
    const nanoseconds = ((count % unitsPerSecond) * 1_000_000_000n) / unitsPerSecond;
    return [Number(count / unitsPerSecond + offset), Number(nanoseconds)];
  }

  const RESOLUTIONS: readonly (readonly [tsresol: number | null, unitsPerSecond: bigint])[] = [
    [null, 10n ** 6n],
    ...[0, 1, 3, 6, 7, 9, 10, 12, 15, 16, 19, 127].map((n) => [n, 10n ** BigInt(n)] as const),
    ...[0, 1, 8, 9, 10, 20, 30, 32, 33, 40, 63, 64, 127].map((n) => [0x80 | n, 2n ** BigInt(n)] as const),
  ];

  it.each(RESOLUTIONS)('if_tsresol %s', async (tsresol, units) => {
    const now = 1_700_000_000n;
    const second = units > 2n ** 64n ? 2n ** 64n - 1n : units;
    const seconds = [0n, now, now + 1n, now - 1n, 4294n, 2n ** 31n, 2n ** 33n, now];
    const fractions = [0n, 1n, second / 3n, second / 2n, second - 1n];
    const counts = seconds.flatMap((at) => fractions.map((fraction) => at * units + fraction));
    // Around where the upper word changes, there and back.
    const border = ((now * units) >> 32n) << 32n;
    counts.push(
      border - 1n,
      border,
      border + 1n,
      border - 1n,
      border + 0xffff_ffffn,
      border + 0x1_0000_0000n,
    );
    const possible = counts.filter((count) => count >= 0n && count < 2n ** 64n);
    const expected = (offset: bigint) => possible.map((count) => meaning(count, units, offset));
    expect(await times(tsresol, possible)).toEqual(expected(0n));
    expect(await times(tsresol, possible, 3600n)).toEqual(expected(3600n));
    expect(await times(tsresol, possible, -3600n)).toEqual(expected(-3600n));
  });
});

describe('gzip', () => {
  const file = pcap({}, [{ seconds: 1, fraction: 2, bytes: FIRST }]);

  it('is read as if it were not there', async () => {
    const { packets, cut } = await readBytes(gzipSync(file));
    expect(packets).toEqual([packet(FIRST, { seconds: 1, nanoseconds: 2000 })]);
    expect(cut).toBe(null);
  });

  it('in several members is one file', async () => {
    const members = Buffer.concat([gzipSync(file.subarray(0, 30)), gzipSync(file.subarray(30))]);
    expect((await readBytes(members)).packets).toHaveLength(1);
  });
});
