import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { CaptureReader, CaptureRecord, openWriter } from '../../src/io/capture/index.js';
import { LINKTYPE } from '../../src/wire/link.js';
import { inWorker } from './in-worker.js';
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

export interface CaptureCase {
  readonly name: string;
  readonly format: 'pcap' | 'pcapng';
  /** Of a frame. */
  readonly length: number;
}

export interface CaptureInit {
  readonly name: string;
  readonly library: string;
  readonly rounds: number;
}

export const READ_CASES: readonly CaptureCase[] = [
  { name: 'capture-read-pcap-64', format: 'pcap', length: 64 },
  { name: 'capture-read-pcap-1400', format: 'pcap', length: 1400 },
  { name: 'capture-read-pcapng-64', format: 'pcapng', length: 64 },
  { name: 'capture-read-pcapng-1400', format: 'pcapng', length: 1400 },
];

export const WRITE_CASES: readonly CaptureCase[] = [
  { name: 'capture-write-64', format: 'pcapng', length: 64 },
  { name: 'capture-write-1400', format: 'pcapng', length: 1400 },
];

/** Measures a case in a worker thread of its own: who reads a capture reads one format. */
export function runCapture(init: CaptureInit): Promise<Row> {
  return inWorker(new URL('./captures-worker.js', import.meta.url), init);
}

export async function benchCapture({ name, library, rounds }: CaptureInit): Promise<Row> {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-'));
  try {
    const read = READ_CASES.find((which) => which.name === name);
    const write = WRITE_CASES.find((which) => which.name === name);
    if (read !== undefined) return await measure(read, rounds, await readSides(library, directory, read));
    if (write !== undefined) return await measure(write, rounds, writeSides(library, directory, write));
    throw new Error(`there is no case ${name}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Nanoseconds for a whole file. */
interface Sides {
  native(): number;
  js(): Promise<number>;
}

async function readSides(library: string, directory: string, which: CaptureCase): Promise<Sides> {
  const c = bind(library);
  const path = join(directory, `in.${which.format}`);
  await writeFile(path, frames(which.length), which.length);
  const sum = new Int32Array(1);
  return {
    native: () => c.read(path, sum),
    js: async () => {
      const start = process.hrtime.bigint();
      const read = await readFile(path);
      const nanoseconds = Number(process.hrtime.bigint() - start);
      if (read !== sum[0]) throw new Error(`${which.name}: C read ${sum[0]}, JS ${read}`);
      return nanoseconds;
    },
  };
}

function writeSides(library: string, directory: string, which: CaptureCase): Sides {
  const c = bind(library);
  const path = join(directory, `out.${which.format}`);
  const packets = frames(which.length);
  const { length } = which;
  return {
    native: () => c.write(path, packets, length, FRAMES, length, countOf(length)),
    js: async () => {
      const start = process.hrtime.bigint();
      await writeFile(path, packets, length);
      return Number(process.hrtime.bigint() - start);
    },
  };
}

async function measure({ name, length }: CaptureCase, rounds: number, { native, js }: Sides): Promise<Row> {
  const count = countOf(length);
  const nativeSamples: number[] = [];
  const jsSamples: number[] = [];
  for (let round = -WARM_UP; round < rounds; round++) {
    const nativeValue = native();
    if (nativeValue < 0) throw new Error(`${name}: the C loop failed`);
    const jsValue = await js();
    if (round < 0) continue;
    nativeSamples.push(nativeValue / count);
    jsSamples.push(jsValue / count);
  }
  const paired = pair(nativeSamples, jsSamples);
  return {
    name,
    unit: 'ns/packet',
    ...paired,
    bar: `ratio <= ${MAX_RATIO}`,
    pass: paired.ratio.median <= MAX_RATIO,
  };
}

function countOf(length: number): number {
  return Math.floor(FILE_SIZE / length);
}

/** Adds up what the C loop does, modulo 2^32: lengths, times, and the first word of each IP header. */
async function readFile(path: string): Promise<number> {
  const reader = await CaptureReader.open(path);
  const record = new CaptureRecord();
  let sum = 0;
  do {
    sum = (sum + readWindow(reader, record)) | 0;
  } while (await reader.more());
  await reader.close();
  return sum;
}

/** What is in memory. A function of its own: V8 makes slower code of loops in asynchronous ones. */
function readWindow(reader: CaptureReader, record: CaptureRecord): number {
  let sum = 0;
  while (reader.next(record)) {
    const first = record.data.getInt32(record.offset + ETHERNET_HEADER);
    const times = record.seconds + record.nanoseconds;
    sum = (sum + record.capturedLength + record.originalLength + times + first) | 0;
  }
  return sum;
}

async function writeFile(path: string, packets: Buffer, length: number): Promise<void> {
  const writer = openWriter(path);
  const iface = writer.addInterface({ linkType: LINKTYPE.ETHERNET });
  const count = countOf(length);
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

function bind(library: string) {
  const native = koffi.load(library);
  return {
    read: native.func('double capture_read(const char *path, int32_t *sum)'),
    write: native.func(
      'double capture_write(const char *path, const uint8_t *frames, int stride, int frame_count, int length, int count)',
    ),
  };
}
