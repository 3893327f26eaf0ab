import type { AsciiText } from '../../io/capture/ascii-text.js';
import { CaptureRecord } from '../../io/capture/record.js';
import { LINKTYPE } from '../../wire/link.js';
import { dissect, oneLine } from '../dissect/dissect.js';
import { ReplayFleet } from '../fleet.js';
import { PathReplay, type ReplaySink } from '../replay.js';
import type { CounterRow } from '../summary.js';
import type { Traveller } from '../traveller.js';
import type { CaseFile } from './case-file.js';

/** A packet of a capture, with a copy of its bytes. */
export interface CasePacket {
  readonly linkType: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly bytes: Uint8Array;
  readonly originalLength: number;
}

/** What a case came to. */
export interface CaseResult {
  /** What servers sent and took in, in order, from the IP header on. */
  readonly packets: readonly CasePacket[];
  /** One line per packet and step, for people. */
  readonly story: readonly string[];
  readonly counters: readonly CounterRow[];
}

export function runCase(file: CaseFile, send: readonly CasePacket[]): CaseResult {
  const fleet = new ReplayFleet(file.cluster, file.tables, file.sockets, file.sessions);
  const recorder = new Recorder(file.cluster.underlay.port);
  const path = new PathReplay({
    fleet,
    stage: file.stage,
    as: file.as === null ? null : (fleet.named(file.as) ?? null),
    output: recorder,
    onPacket: null,
  });
  let next = 0;
  for (const step of file.steps) {
    if (step.kind === 'load') {
      const table = file.named.get(step.table);
      if (table !== undefined) fleet.useTable(table);
      recorder.story.push(`-- table ${step.table} is loaded`);
      continue;
    }
    const end = Math.min(send.length, next + step.count);
    for (; next < end; next++) {
      recorder.begin(next + 1, send[next], file.packets?.[next]?.line);
      path.packet(recordOf(send[next]));
    }
  }
  return { packets: recorder.packets, story: recorder.story, counters: path.summary.counters() };
}

class Recorder implements ReplaySink {
  readonly wantsComments = true;
  readonly packets: CasePacket[] = [];
  readonly story: string[] = [];

  constructor(private readonly guePort: number) {}

  /** @param line what the packet was made of, where it was made of a line */
  begin(number: number, { bytes, linkType, originalLength }: CasePacket, line: string | undefined): void {
    const { guePort } = this;
    this.story.push(`${number}  ${line ?? oneLine(dissect(bytes, linkType, { guePort, originalLength }))}`);
  }

  step(record: CaptureRecord, traveller: Traveller, comment: AsciiText): void {
    const { end, batch, captured } = traveller;
    this.story.push(`   ${comment}`);
    if (end === 'dropped' || end === 'passed') return;
    const at = batch.offset[0];
    this.packets.push({
      linkType: LINKTYPE.RAW,
      seconds: record.seconds,
      nanoseconds: record.nanoseconds,
      bytes: Uint8Array.from(batch.bytes.subarray(at, at + captured)),
      originalLength: batch.length[0],
    });
  }

  kept(_record: CaptureRecord, comment: string): void {
    this.story.push(`   ${comment}`);
  }
}

/** For the path: a record that holds this packet alone. */
function recordOf(packet: CasePacket): CaptureRecord {
  const record = new CaptureRecord();
  record.bytes = Buffer.from(packet.bytes);
  record.data = new DataView(record.bytes.buffer, record.bytes.byteOffset, record.bytes.byteLength);
  record.capturedLength = packet.bytes.length;
  record.originalLength = packet.originalLength;
  record.linkType = packet.linkType;
  record.seconds = packet.seconds;
  record.nanoseconds = packet.nanoseconds;
  return record;
}
