import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CaptureError } from '../../src/io/capture/errors.js';
import { CaptureReader } from '../../src/io/capture/reader.js';
import { openWriter } from '../../src/io/capture/writer.js';
import { caseFolders } from '../../src/replay/cases/case-folder.js';
import { ReplayOutput } from '../../src/replay/output.js';
import { type ReplayStage, replay } from '../../src/replay/replay.js';
import { runs } from '../fuzz.js';
import { fleetOf } from './support.js';

/** Damaged captures through the whole of replay: read, judged, commented, written, and read again. */

const CASES = caseFolders(fileURLToPath(new URL('../cases', import.meta.url)));

/** All captures of the cases, small real packets of every kind. */
const captures = CASES.flatMap((folder) =>
  ['send.pcap', 'expect.pcap'].map((name) => readFileSync(join(folder, name))),
);

let directory: string;
const path = (name: string) => join(directory, name);
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-fuzz-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Damage {
  readonly at: number;
  readonly what: 'flip' | 'set' | 'cut' | 'repeat' | 'remove';
  readonly value: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(4000),
  what: fc.constantFrom(
    'flip' as const,
    'set' as const,
    'cut' as const,
    'repeat' as const,
    'remove' as const,
  ),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
});

function damaged(capture: Buffer, damages: readonly Damage[]): Buffer {
  let bytes = Buffer.from(capture);
  for (const { at, what, value } of damages) {
    if (bytes.length === 0) return bytes;
    const place = at % bytes.length;
    if (what === 'flip') bytes[place] ^= value | 1;
    else if (what === 'set') bytes[place] = value;
    else if (what === 'cut') bytes = bytes.subarray(0, place);
    else if (what === 'repeat')
      bytes = Buffer.concat([bytes.subarray(0, place + 1), bytes.subarray(Math.max(0, place - value))]);
    else bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + value)]);
  }
  return bytes;
}

async function replayOf(input: Buffer, stage: ReplayStage): Promise<void> {
  writeFileSync(path('in'), input);
  let reader: CaptureReader;
  try {
    reader = await CaptureReader.open(path('in'));
  } catch (error) {
    expect(error).toBeInstanceOf(CaptureError);
    return;
  }
  const writer = openWriter(path('out.pcapng'));
  const output = new ReplayOutput(reader, writer, { comments: true, keepAll: true, rawOnly: false });
  let told = 0;
  const summary = await replay({
    input: reader,
    fleet: fleetOf(),
    stage,
    as: null,
    output,
    onPacket: (packet) => {
      told++;
      JSON.stringify(packet);
    },
  });
  await writer.close();
  await reader.close();
  expect(told).toBe(summary.packets);

  const again = await CaptureReader.open(path('out.pcapng'));
  const { packets, cut } = await replay({
    input: again,
    fleet: fleetOf(),
    stage: 'journey',
    as: null,
    output: null,
    onPacket: null,
  });
  await again.close();
  expect(cut).toBe(null);
  // Nothing was lost: what is not sent on is kept as it came.
  expect(packets).toBeGreaterThanOrEqual(summary.packets);
}

describe('a damaged capture', () => {
  it('is replayed as far as it goes, whatever the damage', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...captures),
        fc.array(damage, { minLength: 1, maxLength: 6 }),
        fc.constantFrom<ReplayStage>('forward', 'redirect', 'journey'),
        fc.boolean(),
        async (capture, damages, stage, compressed) => {
          const bytes = damaged(capture, damages);
          await replayOf(compressed ? gzipSync(bytes) : bytes, stage);
        },
      ),
      runs(150),
    );
  });

  it('as pcapng, too', async () => {
    // Made once: pcapng of what the cases' packets come to.
    const made = await Promise.all(
      captures.slice(0, 12).map(async (capture, index) => {
        writeFileSync(path(`seed-${index}.pcap`), capture);
        const reader = await CaptureReader.open(path(`seed-${index}.pcap`));
        const writer = openWriter(path(`seed-${index}.pcapng`));
        const output = new ReplayOutput(reader, writer, { comments: true, keepAll: true, rawOnly: false });
        await replay({ input: reader, fleet: fleetOf(), stage: 'journey', as: null, output, onPacket: null });
        await writer.close();
        await reader.close();
        return readFileSync(path(`seed-${index}.pcapng`));
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...made),
        fc.array(damage, { minLength: 1, maxLength: 6 }),
        (capture, damages) => replayOf(damaged(capture, damages), 'journey'),
      ),
      runs(150),
    );
  });
});
