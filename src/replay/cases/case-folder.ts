import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CaptureReader } from '../../io/capture/reader.js';
import { CaptureRecord } from '../../io/capture/record.js';
import { openWriter } from '../../io/capture/writer.js';
import { LINKTYPE } from '../../wire/link.js';
import { byteDiff } from '../conformance/byte-diff.js';
import { ConformanceError } from '../conformance/format.js';
import type { CounterRow } from '../summary.js';
import { type CaseFile, type PacketLine, readCaseFile } from './case-file.js';
import { type CasePacket, type CaseResult, runCase } from './run-case.js';

/**
 * A case as a folder:
 *
 * | file | what |
 * |---|---|
 * | `case.yaml` | the fleet, its tables and sockets, the packets as lines, what happens |
 * | `send.pcap` | the packets as bytes; made of the lines where there are any |
 * | `expect.pcap` | what servers send and take in, in order |
 * | `counters.json` | packets and bytes by server, stage, trafficset and verdict |
 * | `story.txt` | each packet and what each stage made of it, for people who review a change |
 *
 * All but `case.yaml` are written by {@link regenerateCase}.
 */

const CASE_FILE = 'case.yaml';
const SEND = 'send.pcap';
const EXPECT = 'expect.pcap';
const COUNTERS = 'counters.json';
const STORY = 'story.txt';

/** Most differing packets that are shown in full. */
const SHOWN_PACKETS = 3;

/** The cases that a folder stands for: itself, or those right under it, by name. Empty when there are none. */
export function caseFolders(folder: string): string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return [];
  if (existsSync(join(folder, CASE_FILE))) return [folder];
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((inner) => existsSync(join(inner, CASE_FILE)));
}

/**
 * Runs a case and holds it against what is expected.
 * @returns lines that say what differs, none when the case holds
 * @throws ConfigError, CaptureError, ConformanceError when a file is missing or wrong
 */
export async function checkCase(folder: string): Promise<string[]> {
  const file = readCaseFile(join(folder, CASE_FILE));
  const sent = await readPackets(join(folder, SEND));
  const lines = sendDifferences(file, sent);
  const result = runCase(file, sent);
  const expected = await readPackets(join(folder, EXPECT));
  lines.push(...packetDifferences(expected, result.packets));
  lines.push(...textDifferences(COUNTERS, readFile(folder, COUNTERS), countersText(result.counters)));
  lines.push(...textDifferences(STORY, readFile(folder, STORY), storyText(file, result)));
  return lines;
}

/** Runs a case and writes what it comes to as what is expected. @returns the files written */
export async function regenerateCase(folder: string): Promise<string[]> {
  const file = readCaseFile(join(folder, CASE_FILE));
  const written = [EXPECT, COUNTERS, STORY];
  let sent: CasePacket[];
  if (file.packets === null) {
    sent = await readPackets(join(folder, SEND));
  } else {
    sent = made(file.packets);
    await writePackets(join(folder, SEND), sent);
    written.unshift(SEND);
  }
  const result = runCase(file, sent);
  await writePackets(join(folder, EXPECT), result.packets);
  writeFileSync(join(folder, COUNTERS), countersText(result.counters));
  writeFileSync(join(folder, STORY), storyText(file, result));
  return written.map((name) => join(folder, name));
}

/** A millisecond apart, from the epoch on: the same bytes every time. */
function made(packets: readonly PacketLine[]): CasePacket[] {
  return packets.map(({ bytes }, index) => ({
    linkType: LINKTYPE.RAW,
    seconds: Math.floor(index / 1000),
    nanoseconds: (index % 1000) * 1_000_000,
    bytes,
    originalLength: bytes.length,
  }));
}

function sendDifferences(file: CaseFile, sent: readonly CasePacket[]): string[] {
  if (file.packets === null) return [];
  const differs = packetDifferences(made(file.packets), sent);
  return differs.length === 0
    ? []
    : [`${SEND} is not what the lines of ${CASE_FILE} make: regenerate it`, ...differs];
}

function packetDifferences(expected: readonly CasePacket[], got: readonly CasePacket[]): string[] {
  const lines: string[] = [];
  if (expected.length !== got.length)
    lines.push(`expected are ${expected.length} packets, got were ${got.length}`);
  let shown = 0;
  for (let at = 0; at < Math.min(expected.length, got.length) && shown < SHOWN_PACKETS; at++) {
    const differs = byteDiff(expected[at].bytes, got[at].bytes);
    if (differs.length === 0) continue;
    shown++;
    lines.push(`packet ${at + 1} that comes out:`, ...differs);
  }
  return lines;
}

function textDifferences(name: string, expected: string, got: string): string[] {
  if (expected === got) return [];
  const old = expected.split('\n');
  const now = got.split('\n');
  const at = old.findIndex((line, index) => line !== now[index]);
  const line = at < 0 ? old.length : at;
  return [
    `${name}, line ${line + 1}: expected ${old[line] ?? 'the end'}`,
    `${name}, line ${line + 1}: got ${now[line] ?? 'the end'}`,
  ];
}

function countersText(rows: readonly CounterRow[]): string {
  const tree: Record<string, Record<string, Record<string, Record<string, object>>>> = {};
  for (const { server, stage, trafficset, verdict, packets, bytes } of rows) {
    tree[server] ??= {};
    tree[server][stage] ??= {};
    tree[server][stage][trafficset ?? 'none'] ??= {};
    tree[server][stage][trafficset ?? 'none'][verdict] = { packets, bytes };
  }
  return `${JSON.stringify(tree, null, 2)}\n`;
}

function storyText({ title }: CaseFile, { story }: CaseResult): string {
  return `${title}\n\n${story.join('\n')}\n`;
}

function readFile(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch {
    throw new ConformanceError(`${join(folder, name)}: cannot be read: make it with --regenerate`);
  }
}

async function readPackets(path: string): Promise<CasePacket[]> {
  if (!existsSync(path)) throw new ConformanceError(`${path}: does not exist: make it with --regenerate`);
  const reader = await CaptureReader.open(path);
  try {
    const record = new CaptureRecord();
    const packets: CasePacket[] = [];
    do {
      while (reader.next(record)) {
        const { bytes, offset, capturedLength, originalLength, linkType, seconds, nanoseconds } = record;
        const copy = Uint8Array.from(bytes.subarray(offset, offset + capturedLength));
        packets.push({ linkType, seconds, nanoseconds, bytes: copy, originalLength });
      }
    } while (await reader.more());
    if (reader.cut !== null) throw new ConformanceError(`${path}: ${reader.cut}`);
    return packets;
  } finally {
    await reader.close();
  }
}

async function writePackets(path: string, packets: readonly CasePacket[]): Promise<void> {
  rmSync(path, { force: true });
  const writer = openWriter(path);
  const raw = writer.addInterface({ linkType: LINKTYPE.RAW });
  for (const { bytes, seconds, nanoseconds, originalLength } of packets) {
    writer.write(raw, seconds, nanoseconds, Buffer.from(bytes), 0, bytes.length, originalLength, '');
  }
  await writer.close();
}
