import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { CaptureReader, openWriter } from '../../src/io/capture/index.js';
import { loadFleet } from '../../src/replay/load.js';
import { ReplayOutput } from '../../src/replay/output.js';
import { type ReplayStage, replay } from '../../src/replay/replay.js';
import { formatIpv4 } from '../../src/table/address.js';
import { writeTableFile } from '../../src/table/table-file.js';
import { LINKTYPE } from '../../src/wire/link.js';
import { buildPacket, Random } from './packets.js';
import type { Row } from './report.js';
import { spreadOf } from './stats.js';
import { BYSTANDER, buildTable, SERVERS, webPacket } from './workload.js';

/** `twohop replay`, from a pcap in the page cache to a pcapng: packets per second, and the memory it takes. */

/**
 * Packets per second that `glb-director` replays in its own capture mode (it logs JSON per packet), as measured on a
 * machine of this kind: the published figure this is held against.
 */
const GLB_DIRECTOR_PACE = 41_000;
const PACE_WITHOUT_COMMENTS = 500_000;
const PACE_WITH_COMMENTS = 200_000;
const MOST_RESIDENT = 200 << 20;

const PACKETS = 500_000;
const FRAMES = 4096;
const SECONDS = 1_700_000_000;

interface ReplayCase {
  readonly name: string;
  readonly stage: ReplayStage;
  readonly comments: boolean;
  /** Least packets per second; 0 where the pace is only told. */
  readonly least: number;
}

const CASES: readonly ReplayCase[] = [
  { name: 'replay-forward', stage: 'forward', comments: false, least: PACE_WITHOUT_COMMENTS },
  { name: 'replay-forward-comments', stage: 'forward', comments: true, least: PACE_WITH_COMMENTS },
  { name: 'replay-journey', stage: 'journey', comments: false, least: 0 },
  { name: 'replay-journey-comments', stage: 'journey', comments: true, least: 0 },
];

/** Packets per second, whole command but for the start of the process. */
export function benchReplay(rounds: number): Promise<Row[]> {
  return inDirectory(async (directory) => {
    const input = join(directory, 'in.pcap');
    await writeCapture(input, PACKETS, 64);
    const samples = CASES.map((): number[] => []);
    for (let round = -1; round < rounds; round++) {
      for (const [index, which] of CASES.entries()) {
        const pace = await paceOf(which, input, directory);
        if (round >= 0) samples[index].push(pace);
      }
    }
    return CASES.map(({ name, least }, index): Row => {
      const js = spreadOf(samples[index]);
      return {
        name,
        unit: 'packets/s',
        js,
        ...(least === 0 ? {} : { bar: `>= ${least}`, pass: js.median >= least }),
        notes: [
          `${(js.median / GLB_DIRECTOR_PACE).toFixed(1)} times the pace of glb-director's capture mode (${GLB_DIRECTOR_PACE})`,
        ],
      };
    });
  });
}

async function paceOf({ stage, comments }: ReplayCase, input: string, directory: string): Promise<number> {
  const path = join(directory, 'out.pcapng');
  // Made anew each time, as a person would: to remove an old file is not part of it.
  rmSync(path, { force: true });
  const fleet = loadFleet({ config: join(directory, 'cluster.yaml'), tables: [], sockets: null });
  const start = process.hrtime.bigint();
  const reader = await CaptureReader.open(input);
  const writer = openWriter(path);
  const output = new ReplayOutput(reader, writer, { comments, keepAll: false, rawOnly: false });
  const as = fleet.at(BYSTANDER) ?? null;
  const summary = await replay({ input: reader, fleet, stage, as, output, onPacket: null });
  await writer.close();
  await reader.close();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (summary.packets !== PACKETS) throw new Error(`replayed ${summary.packets} of ${PACKETS} packets`);
  return PACKETS / seconds;
}

/** The most memory that `twohop replay` ever held, for a capture of 64 MB and for one of 2 GB. */
export function benchReplayMemory(quick: boolean): Promise<Row[]> {
  return inDirectory(async (directory) => {
    const sizes = quick ? [64 << 20, 512 << 20] : [64 << 20, 2 ** 31];
    const peaks: number[] = [];
    for (const size of sizes) {
      const input = join(directory, 'large.pcap');
      await writeCapture(input, Math.ceil(size / 1500), 1400);
      if (statSync(input).size < 0.9 * size) throw new Error('the capture came out too small');
      peaks.push(await residentOf([input, '-c', join(directory, 'cluster.yaml'), '-w', '/dev/null']));
      rmSync(input);
    }
    const js = spreadOf(peaks.map((bytes) => bytes / (1 << 20)));
    return [
      {
        name: 'replay-memory',
        unit: 'MB resident',
        js,
        bar: `<= ${MOST_RESIDENT >> 20}`,
        pass: js.max <= MOST_RESIDENT >> 20,
        notes: sizes.map(
          (size, index) =>
            `${Math.round(peaks[index] / (1 << 20))} MB for a capture of ${Math.round(size / (1 << 20))} MB`,
        ),
      },
    ];
  });
}

/** Runs `twohop replay`; the most bytes it held at once. */
async function residentOf(words: readonly string[]): Promise<number> {
  const program = fileURLToPath(new URL('replay-child.js', import.meta.url));
  const child = spawn(process.execPath, [program, ...words], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  let told = '';
  child.stdio[3]?.on('data', (data) => {
    told += data;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`twohop replay ${words.join(' ')} ended with ${code}`);
  return Number(told) * 1024;
}

async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-'));
  try {
    writeFleet(directory);
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function writeFleet(directory: string): void {
  writeTableFile(join(directory, 'web.table'), buildTable('web', 1, 1));
  const servers = [...SERVERS, BYSTANDER].map((dip, index) => ({ name: `s${index}`, dip: formatIpv4(dip) }));
  const web = { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'], table: 'web.table' };
  const underlay = { prefixes: ['192.168.0.0/16'], mtu: 9000 };
  writeFileSync(join(directory, 'cluster.yaml'), stringify({ underlay, servers, trafficsets: [web] }));
}

/** Ethernet frames of many flows, one in sixteen a SYN, every other one IPv6. */
async function writeCapture(path: string, count: number, length: number): Promise<void> {
  const random = new Random(7);
  const frames = Array.from({ length: FRAMES }, (_, index) => {
    const version = index % 2 === 0 ? 4 : 6;
    const flags = index % 16 === 0 ? 0x02 : 0x10;
    const packet = buildPacket(
      webPacket(random, version, version === 4 ? length : Math.max(length, 64), flags),
    );
    const ethertype = version === 4 ? 0x0800 : 0x86dd;
    const header = Buffer.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ethertype >> 8, ethertype & 0xff]);
    return Buffer.concat([header, packet]);
  });
  const writer = openWriter(path);
  const iface = writer.addInterface({ linkType: LINKTYPE.ETHERNET });
  for (let index = 0; index < count; index++) {
    const frame = frames[index % FRAMES];
    const nanoseconds = (index % 1_000_000) * 1000;
    writer.write(
      iface,
      SECONDS + Math.floor(index / 1e6),
      nanoseconds,
      frame,
      0,
      frame.length,
      frame.length,
      '',
    );
  }
  await writer.close();
}
