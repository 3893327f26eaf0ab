import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CaptureError } from '../../../src/io/capture/errors.js';
import { CaptureReader } from '../../../src/io/capture/reader.js';
import { CaptureRecord } from '../../../src/io/capture/record.js';
import { Direction, openWriter } from '../../../src/io/capture/writer.js';
import { LINKTYPE } from '../../../src/wire/link.js';
import { describePrivileged } from '../../privileged.js';
import { KATRAN_TCP4, KATRAN_UDP4 } from '../../wire/frames.js';
import { Blocks, MemorySource, type Packet, readPath } from './files.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-capture-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const DIST = new URL('../../../dist/io/capture/index.js', import.meta.url);
const UDP = Buffer.from(KATRAN_UDP4);

interface Written {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly bytes: Buffer;
  readonly missing: number;
  readonly comment: string;
}

const written: fc.Arbitrary<Written> = fc.record({
  seconds: fc.oneof(fc.constant(1_700_000_000), fc.integer({ min: 0, max: 0xffff_ffff })),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  bytes: fc
    .oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 300, maxLength: 400 }))
    .map((bytes) => Buffer.from(bytes)),
  missing: fc.nat(100),
  comment: fc.oneof(fc.constant(''), fc.string(), fc.string({ unit: 'grapheme', maxLength: 50 })),
});

describe.each(['pcap', 'pcapng'])('%s', (format) => {
  it('is read as it was written, whatever is written', async () => {
    const path = join(directory, `round.${format}`);
    await fc.assert(
      fc.asyncProperty(fc.array(written, { maxLength: 40 }), async (packets) => {
        const writer = openWriter(path);
        const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
        for (const { seconds, nanoseconds, bytes, missing, comment } of packets) {
          // Neither aligned nor alone in its buffer.
          const source = Buffer.concat([Buffer.alloc(3, 0xa5), bytes, Buffer.alloc(5, 0xa5)]);
          writer.write(iface, seconds, nanoseconds, source, 3, bytes.length, bytes.length + missing, comment);
        }
        await writer.close();
        const expected: Packet[] = packets.map(({ seconds, nanoseconds, bytes, missing, comment }) => ({
          seconds,
          nanoseconds,
          originalLength: bytes.length + missing,
          linkType: LINKTYPE.RAW,
          interface: 0,
          bytes: bytes.toString('hex'),
          comments: comment === '' || format === 'pcap' ? [] : [comment],
        }));
        expect(await readPath(path)).toMatchObject({ packets: expected, cut: null });
      }),
      { numRuns: 200 },
    );
    expect(readdirSync(directory)).toEqual([`round.${format}`]);
  });

  it('is larger than the buffer, and a packet is, too', async () => {
    const path = join(directory, `large.${format}`);
    const writer = openWriter(path);
    const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
    const lengths = [...Array.from({ length: 5000 }, (_, i) => i % 1500), 3 << 20, 1];
    const source = Buffer.alloc(3 << 20, 'payload');
    for (const length of lengths) writer.write(iface, 1, 0, source, 0, length, length, '');
    await writer.close();
    const { packets, cut } = await readPath(path);
    expect(packets.map(({ originalLength }) => originalLength)).toEqual(lengths);
    const payload = source.toString('hex');
    expect(packets.every(({ bytes, originalLength }) => bytes === payload.slice(0, 2 * originalLength))).toBe(
      true,
    );
    expect(cut).toBe(null);
  });

  it('may have no packets, even no interface', async () => {
    const path = join(directory, `empty.${format}`);
    await openWriter(path).close();
    expect(await readPath(path)).toMatchObject({ packets: [], cut: null });
  });

  it('takes packets from any number of buffers in turn', async () => {
    const path = join(directory, `turn.${format}`);
    const writer = openWriter(path);
    const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
    const sources = ['one', 'two', 'three'].map((text) => Buffer.from(text));
    const order = [0, 1, 0, 1, 2, 0, 2, 2, 1, 0];
    for (const i of order) writer.write(iface, 0, 0, sources[i], 0, sources[i].length, sources[i].length, '');
    await writer.close();
    const { packets } = await readPath(path);
    expect(packets.map(({ bytes }) => Buffer.from(bytes, 'hex').toString())).toEqual(
      order.map((i) => sources[i].toString()),
    );
  });
});

describe('pcapng', () => {
  it('says who wrote it', async () => {
    const path = join(directory, 'who.pcapng');
    await openWriter(path).close();
    expect(readFileSync(path, 'latin1')).toContain('\x04\x00\x06\x00twohop\x00\x00');
  });

  it('is the same byte for byte, whatever was in memory before', async () => {
    const path = join(directory, 'bytes.pcapng');
    const writer = openWriter(path);
    const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
    const noise = Buffer.alloc(1 << 20, 0xa5);
    // Once around the buffer, so that what is written next lies on what was there.
    for (let i = 0; i < 3; i++) writer.write(iface, 0, 0, noise, 0, 600_000, 600_000, '');
    const little = new Blocks(true);
    const expected: Buffer[] = [];
    for (const [length, comment] of [
      [1, ''],
      [2, 'a'],
      [3, 'ab'],
      [4, 'abc'],
      [401, 'abcd'],
    ] as const) {
      const bytes = Buffer.alloc(length, 'x');
      writer.write(iface, 1, 2, bytes, 0, length, length, comment);
      const options = comment === '' ? little.body() : little.body().option(1, comment).option(0, '');
      expected.push(little.packet(bytes, 1_000_000_002n, 0, options));
    }
    await writer.close();
    const end = Buffer.concat(expected);
    expect(readFileSync(path).subarray(-end.length).toString('hex')).toBe(end.toString('hex'));
  });

  it('has interfaces whenever they come, with their options', async () => {
    const path = join(directory, 'interfaces.pcapng');
    const writer = openWriter(path);
    expect(
      writer.addInterface({ linkType: LINKTYPE.RAW, snapLength: 96, name: 'eth0', description: 'größe' }),
    ).toBe(0);
    writer.write(0, 1, 0, UDP, 0, UDP.length, UDP.length, '');
    const copied = [
      { code: 2, value: Uint8Array.from(Buffer.from('other')) },
      // Ethernet address; timestamps of its own it cannot have here.
      { code: 6, value: Uint8Array.of(2, 0, 0, 0, 0, 1) },
      { code: 9, value: Uint8Array.of(3) },
      { code: 14, value: new Uint8Array(8) },
    ];
    expect(writer.addInterface({ linkType: LINKTYPE.ETHERNET, options: copied })).toBe(1);
    expect(writer.addInterface({ linkType: LINKTYPE.ETHERNET, name: 'mine', options: copied })).toBe(2);
    writer.write(2, 1, 0, UDP, 0, UDP.length, UDP.length, '');
    await writer.close();
    const { reader, packets } = await readPath(path);
    expect(packets.map((packet) => packet.interface)).toEqual([0, 2]);
    expect(reader.interfaces.map(({ name, linkType, snapLength }) => [name, linkType, snapLength])).toEqual([
      ['eth0', LINKTYPE.RAW, 96],
      ['other', LINKTYPE.ETHERNET, 0],
      ['mine', LINKTYPE.ETHERNET, 0],
    ]);
    const nanoseconds = { code: 9, value: Uint8Array.of(9) };
    expect(reader.interfaces[1].options).toEqual([nanoseconds, copied[0], copied[1]]);
    expect(reader.interfaces[2].options.map(({ code }) => code)).toEqual([2, 9, 6]);
  });

  it('cuts a comment that is longer than an option can be, between two characters', async () => {
    const path = join(directory, 'comments.pcapng');
    const writer = openWriter(path);
    writer.addInterface({ linkType: LINKTYPE.RAW });
    for (const comment of ['x'.repeat(70_000), 'ä'.repeat(40_000), '\ud800 alone']) {
      writer.write(0, 1, 0, UDP, 0, UDP.length, UDP.length, comment);
    }
    await writer.close();
    const { packets, cut } = await readPath(path);
    expect(cut).toBe(null);
    expect(packets.map(({ comments }) => comments)).toEqual([
      ['x'.repeat(65_535)],
      ['ä'.repeat(32_767)],
      ['\ufffd alone'],
    ]);
  });

  it.each([true, false])('keeps what a packet had for options (little-endian: %s)', async (littleEndian) => {
    const blocks = new Blocks(littleEndian);
    const options = blocks
      .body()
      .option(1, 'of the capture')
      .option(2, blocks.body().u32(0x8000_0001).done())
      .option(4, blocks.body().u64(12_345_678_901n).done())
      .option(2989, blocks.body().u32(32_473).raw('custom!').done())
      .option(0, '');
    const file = Buffer.concat([
      ...[blocks.section(), blocks.interface(101)],
      ...[blocks.packet(UDP, 1n, 0, options), blocks.packet(UDP, 2n, 0, options), blocks.packet(UDP, 3n)],
    ]);
    const path = join(directory, 'kept.pcapng');
    const reader = await CaptureReader.from(new MemorySource(file), 'the file');
    const writer = openWriter(path);
    writer.addInterface(reader.interfaces[0] ?? { linkType: LINKTYPE.RAW });
    const record = new CaptureRecord();
    const directions = [Direction.Unknown, Direction.Out, Direction.In];
    for (const direction of directions) {
      expect(reader.next(record)).toBe(true);
      const { seconds, nanoseconds, bytes, offset, capturedLength, originalLength } = record;
      const place = [bytes, offset, capturedLength, originalLength] as const;
      writer.write(0, seconds, nanoseconds, ...place, 'ours', direction, record);
    }
    await writer.close();
    await reader.close();

    const again = await CaptureReader.open(path);
    const optionsWritten: string[] = [];
    while (again.next(record) || (await again.more())) {
      if (record.optionsLength === 0) continue;
      const { optionsOffset, optionsLength } = record;
      optionsWritten.push(record.bytes.toString('hex', optionsOffset, optionsOffset + optionsLength));
      record.optionsLength = 0;
    }
    await again.close();
    const hexOf = (flags: number | null, kept: boolean) => {
      const little = new Blocks(true);
      const expected = little.body();
      if (kept) {
        expected.option(1, 'of the capture');
        if (flags === null) expected.option(2, little.body().u32(0x8000_0001).done());
        expected.option(4, little.body().u64(12_345_678_901n).done());
        expected.option(2989, little.body().u32(32_473).raw('custom!').done());
      }
      if (flags !== null) expected.option(2, little.body().u32(flags).done());
      return expected.option(1, 'ours').option(0, '').done().toString('hex');
    };
    expect(optionsWritten).toEqual([hexOf(null, true), hexOf(2, true), hexOf(1, false)]);
  });
});

describe('pcap', () => {
  it('refuses a second link type, and says what does not', async () => {
    const writer = openWriter(join(directory, 'one.pcap'));
    expect(writer.addInterface({ linkType: LINKTYPE.RAW })).toBe(0);
    expect(writer.addInterface({ linkType: LINKTYPE.RAW })).toBe(1);
    expect(() => writer.addInterface({ linkType: LINKTYPE.ETHERNET })).toThrow(CaptureError);
    expect(() => writer.addInterface({ linkType: LINKTYPE.ETHERNET })).toThrow(
      /one link type: 101.*Write pcapng/,
    );
    await writer.abandon();
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('the file', () => {
  const content = async (path: string) => {
    const writer = openWriter(path);
    writer.write(writer.addInterface({ linkType: LINKTYPE.RAW }), 1, 2, UDP, 0, UDP.length, UDP.length, '');
    return writer;
  };

  it('takes its place when it is complete, and not before', async () => {
    const path = join(directory, 'out.pcapng');
    writeFileSync(path, 'what was there');
    chmodSync(path, 0o640);
    const writer = await content(path);
    expect(readFileSync(path, 'utf8')).toBe('what was there');
    await writer.close();
    expect((await readPath(path)).packets).toHaveLength(1);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(directory)).toEqual(['out.pcapng']);
    // A second time does nothing.
    await writer.close();
    await writer.abandon();
    expect((await readPath(path)).packets).toHaveLength(1);
  });

  it('leaves nothing behind when it is abandoned', async () => {
    const path = join(directory, 'out.pcapng');
    await (await content(path)).abandon();
    expect(readdirSync(directory)).toEqual([]);
    writeFileSync(path, 'what was there');
    const writer = await content(path);
    await writer.abandon();
    await writer.close();
    expect(readFileSync(path, 'utf8')).toBe('what was there');
    expect(readdirSync(directory)).toEqual(['out.pcapng']);
  });

  it('is written through a link', async () => {
    const target = join(directory, 'target.pcapng');
    const link = join(directory, 'link.pcapng');
    writeFileSync(target, '');
    symlinkSync(target, link);
    await (await content(link)).close();
    expect((await readPath(target)).packets).toHaveLength(1);
    expect(readdirSync(directory).sort()).toEqual(['link.pcapng', 'target.pcapng']);
  });

  it('cannot be a directory, nor lie in one that is not there', () => {
    expect(() => openWriter(directory)).toThrow(/is a directory: name a file in it/);
    expect(() => openWriter(join(directory, 'absent', 'x.pcap'))).toThrow(
      /x\.pcap cannot be written: ENOENT/,
    );
    expect(() => openWriter(join(directory, 'absent', 'x.pcap'))).toThrow(CaptureError);
  });

  it('on a full disk: says so', async () => {
    const writer = await content('/dev/full');
    await expect((async () => writer.close())()).rejects.toThrow(/write \/dev\/full: ENOSPC/);
  });

  /** Writes so many packets with the built package, and tells on standard error what came of it. */
  const script = (path: string, count: number) => `
    import('${DIST}').then(async ({ openWriter }) => {
      const writer = openWriter('${path}');
      const iface = writer.addInterface({ linkType: 101 });
      const bytes = Buffer.alloc(100, 0x45);
      for (let i = 0; i < ${count}; i++) writer.write(iface, i, 0, bytes, 0, 100, 100, '');
      await writer.close();
      console.error(writer.broken ? 'broken' : 'whole');
    });`;

  it('goes through a pipe into a reader of a pipe', () => {
    const read = `import('${DIST}').then(async ({ CaptureReader, CaptureRecord }) => {
      const reader = await CaptureReader.open('-');
      const record = new CaptureRecord();
      let count = 0;
      do { while (reader.next(record)) count += record.capturedLength; } while (await reader.more());
      console.log(count, reader.cut, reader.size);
    });`;
    const run = spawnSync(
      'sh',
      ['-c', '"$1" -e "$2" | "$1" -e "$3"', 'sh', process.execPath, script('-', 30_000), read],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    expect(run.stdout).toBe('3000000 null null\n');
    expect(run.stderr).toBe('whole\n');
  });

  it('ends quietly when who reads the pipe has had enough', () => {
    const run = spawnSync(
      'sh',
      ['-c', '"$1" -e "$2" | head -c 100', 'sh', process.execPath, script('-', 100_000)],
      {
        timeout: 60_000,
      },
    );
    expect(run.stdout).toHaveLength(100);
    expect(run.stderr.toString()).toBe('broken\n');
  });

  it('may be a FIFO, which stays one', () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const run = spawnSync(
      'sh',
      ['-c', 'cat "$3" & "$1" -e "$2"; wait', 'sh', process.execPath, script(fifo, 10), fifo],
      {
        timeout: 60_000,
      },
    );
    expect(run.stdout.readUInt32LE(0)).toBe(0x0a0d0d0a);
    expect(existsSync(fifo)).toBe(true);
    expect(readdirSync(directory)).toEqual(['fifo']);
  });
});

describePrivileged('tcpdump', ['tcpdump'], () => {
  it.each(['pcap', 'pcapng'])('reads %s', async (format) => {
    const path = join(directory, `out.${format}`);
    const writer = openWriter(path);
    const iface = writer.addInterface({ linkType: LINKTYPE.RAW, name: 'tun0' });
    for (const [i, bytes] of [KATRAN_UDP4, KATRAN_TCP4].entries()) {
      const direction = i === 0 ? Direction.In : Direction.Out;
      writer.write(
        iface,
        1_700_000_000 + i,
        5,
        Buffer.from(bytes),
        0,
        bytes.length,
        bytes.length,
        'why',
        direction,
      );
    }
    await writer.close();
    const args = ['--time-stamp-precision=nano', '-ttnvr', path];
    const text = execFileSync('tcpdump', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    expect(text).toMatch(/^1700000000\.000000005 .*192\.168\.1\.1\.31337 > 10\.200\.1\.1\.80: UDP/s);
    expect(text).toMatch(
      /^1700000001\.000000005 .*192\.168\.1\.1\.31337 > 10\.200\.1\.1\.80: Flags \[\.\]/ms,
    );
  });
});

describePrivileged('tshark', ['tshark'], () => {
  it('shows comments, directions and interfaces', async () => {
    const path = join(directory, 'out.pcapng');
    const writer = openWriter(path);
    const iface = writer.addInterface({ linkType: LINKTYPE.RAW, name: 'tun0', description: 'a tunnel' });
    writer.write(iface, 1_700_000_000, 5, UDP, 0, UDP.length, UDP.length, 'größer', Direction.Out);
    await writer.close();
    const fields = [
      'frame.interface_name',
      'frame.interface_description',
      'frame.comment',
      'frame.packet_flags_direction',
    ];
    const args = [
      '-r',
      path,
      '-T',
      'fields',
      '-E',
      'separator=|',
      ...fields.flatMap((field) => ['-e', field]),
    ];
    const text = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    expect(text).toMatch(/^tun0\|a tunnel\|größer\|(2|0x00000002)\n$/);
  });
});
