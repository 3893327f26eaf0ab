import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { CaptureReader, CaptureRecord, openWriter } from '../../src/io/capture/index.js';
import { LINKTYPE } from '../../src/wire/link.js';
import { buildPacket, Random } from './packets.js';
import type { Row } from './report.js';
import { pair } from './stats.js';
import { webPacket } from './workload.js';

/** Capture files in the page cache, read and written: nanoseconds per packet against plain C loops. */

const MAX_RATIO = 2;
const WARM_UP = 5;
/** Bytes of packets in a file. */
const FILE_SIZE = 64 << 20;
const FRAMES = 1024;
const ETHERNET_HEADER = 14;
const SECONDS = 1_700_000_000;
const LENGTHS = [64, 1400];
const FORMATS = ['pcap', 'pcapng'];

interface Side {
  native(): number;
  js(): Promise<number>;
}

interface Case extends Side {
  readonly name: string;
  readonly count: number;
}

export function benchCaptureRead(library: string, rounds: number): Promise<Row[]> {
  const c = bind(library);
  return inDirectory(async (directory) => {
    const cases: Case[] = [];
    for (const format of FORMATS) {
      for (const length of LENGTHS) {
        const path = join(directory, `${length}.${format}`);
        const count = Math.floor(FILE_SIZE / length);
        await writeFile(path, frames(length), length, count);
        const sums = { native: -1, js: -2 };
        cases.push({
          name: `capture-read-${format}-${length}`,
          count,
          native: () => {
            const sum = new Int32Array(1);
            const nanoseconds = c.read(path, sum);
            sums.native = sum[0];
            return nanoseconds;
          },
          js: async () => {
            const start = process.hrtime.bigint();
            sums.js = await readFile(path);
            const nanoseconds = Number(process.hrtime.bigint() - start);
            if (sums.js !== sums.native) throw new Error(`${path}: C reads ${sums.native}, JS ${sums.js}`);
            return nanoseconds;
          },
        });
      }
    }
    return measure(cases, rounds);
  });
}

export function benchCaptureWrite(library: string, rounds: number): Promise<Row[]> {
  const c = bind(library);
  return inDirectory((directory) => {
    const cases = LENGTHS.map((length): Case => {
      const path = join(directory, `${length}.pcapng`);
      const count = Math.floor(FILE_SIZE / length);
      const packets = frames(length);
      return {
        name: `capture-write-${length}`,
        count,
        native: () => c.write(path, packets, length, FRAMES, length, count),
        js: async () => {
          const start = process.hrtime.bigint();
          await writeFile(path, packets, length, count);
          return Number(process.hrtime.bigint() - start);
        },
      };
    });
    return measure(cases, rounds);
  });
}

/** Every case is warmed up before the first is measured, so that none is better off than in a process that has seen all. */
async function measure(cases: readonly Case[], rounds: number): Promise<Row[]> {
  for (const which of cases) await alternate(which, WARM_UP);
  const rows: Row[] = [];
  for (const which of cases) {
    const paired = await alternate(which, rounds);
    rows.push({
      name: which.name,
      unit: 'ns/packet',
      ...paired,
      bar: `ratio <= ${MAX_RATIO}`,
      pass: paired.ratio.median <= MAX_RATIO,
    });
  }
  return rows;
}

async function alternate({ name, count, native, js }: Case, rounds: number) {
  const nativeSamples: number[] = [];
  const jsSamples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const nanoseconds = native();
    if (nanoseconds < 0) throw new Error(`${name}: the C loop failed`);
    nativeSamples.push(nanoseconds / count);
    jsSamples.push((await js()) / count);
  }
  return pair(nativeSamples, jsSamples);
}

/** Adds up what the C loop does, modulo 2^32: the lengths, and the first word of each IP header. */
async function readFile(path: string): Promise<number> {
  const reader = await CaptureReader.open(path);
  const record = new CaptureRecord();
  let sum = 0;
  do {
    while (reader.next(record)) {
      const first = record.data.getInt32(record.offset + ETHERNET_HEADER);
      sum = (sum + record.capturedLength + record.originalLength + first) | 0;
    }
  } while (await reader.more());
  await reader.close();
  return sum;
}

async function writeFile(path: string, packets: Buffer, length: number, count: number): Promise<void> {
  const writer = openWriter(path);
  const iface = writer.addInterface({ linkType: LINKTYPE.ETHERNET });
  for (let i = 0; i < count; i++) {
    // A thousand nanoseconds each: the file lasts a second or so, as in the C loop.
    const nanoseconds = (i * 1000) % 1_000_000_000;
    const seconds = SECONDS + (i >= 1_000_000 ? 1 : 0);
    writer.write(iface, seconds, nanoseconds, packets, (i % FRAMES) * length, length, length, '');
  }
  await writer.close();
}

/** Ethernet frames of `length` bytes, one behind the other. */
function frames(length: number): Buffer {
  const random = new Random(11);
  const all = Buffer.alloc(FRAMES * length);
  for (let i = 0; i < FRAMES; i++) {
    all.writeUInt16BE(0x0800, i * length + 12);
    all.set(buildPacket(webPacket(random, 4, length - ETHERNET_HEADER)), i * length + ETHERNET_HEADER);
  }
  return all;
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function bind(library: string) {
  const native = koffi.load(library);
  return {
    read: native.func('double capture_read(const char *path, int32_t *sum)'),
    write: native.func(
      'double capture_write(const char *path, const uint8_t *frames, int stride, int frame_count, int length, int count)',
    ),
  };
}
