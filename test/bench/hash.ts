import koffi from 'koffi';
import { FlowKey } from '../../src/flow/flow-key.js';
import { halfSipHash24 } from '../../src/flow/halfsiphash.js';
import { BATCH_CAPACITY, PacketBatch } from '../../src/path/batch.js';
import { buildPacket, Random } from './packets.js';
import type { Row } from './report.js';
import { pair, spreadOf } from './stats.js';
import { DIGESTS_AT, lastWord, loadWasmHash, MESSAGES_AT, type WasmHash } from './wasm-hash.js';
import { webPacket } from './workload.js';

/**
 * The keyed hash alone: TypeScript as the path has it, and WebAssembly, called for each packet, for a batch, and for
 * four packets at a time. Every variant reads the 4-tuples where they lie in packets, and copies them to where it
 * needs them: what comes of that is part of the price.
 */

const PASSES = 500;
const WARM_UP = 20;
/** In front of each message in the module's memory. */
const KEY_WORDS = 2;
const KEY0 = 0x03020100;
const KEY1 = 0x87060504 | 0;

/** Hashes the 4-tuples of a batch into `digests`. */
type Variant = (batch: PacketBatch, digests: Int32Array) => void;

export async function benchHash(library: string, rounds: number): Promise<Row[]> {
  return [...(await measure(4, library, rounds)), ...(await measure(6, library, rounds))];
}

async function measure(version: 4 | 6, library: string, rounds: number): Promise<Row[]> {
  const batch = new PacketBatch({ maxPacket: 64 });
  const random = new Random(5);
  while (batch.count < BATCH_CAPACITY) batch.push(buildPacket(webPacket(random, version, 64)));

  const native = nativeHash(library, version);
  const variants: readonly [string, Variant][] =
    version === 4
      ? [['typescript', typescript4()], ...(await wasmVariants(copy4, 3))]
      : [['typescript', typescript6()], ...(await wasmVariants(copy6, 9))];
  requireSame(batch, native, variants);

  const nativeTimes: number[] = [];
  const times = variants.map((): number[] => []);
  const digests = new Int32Array(BATCH_CAPACITY);
  for (let round = -WARM_UP; round < rounds; round++) {
    const nativeTime = native(batch, PASSES, digests);
    const own = variants.map(([, variant]) => timed(variant, batch, digests));
    if (round < 0) continue;
    nativeTimes.push(nativeTime);
    own.forEach((time, index) => {
      times[index].push(time);
    });
  }
  return variants.map(([name], index) => ({
    name: `hash-ipv${version}-${name}`,
    unit: 'ns/packet',
    ...pair(nativeTimes, times[index]),
    notes: index === 0 ? [] : [`to TypeScript: ${ratioOf(times[index], times[0])}`],
  }));
}

/** Each in a memory of its own. @param tuple in words */
async function wasmVariants(copy: Copy, tuple: number): Promise<[string, Variant][]> {
  const [calls, each, fours] = [await loadWasmHash(), await loadWasmHash(), await loadWasmHash()];
  layOut(calls, tuple, 1);
  layOut(each, tuple, 1);
  layOut(fours, tuple, 4);
  return [
    ['wasm-call', wasmCalls(calls, copy, tuple)],
    ['wasm-batch', wasmBatch(each, copy, tuple)],
    ['wasm-vector', wasmVector(fours, copy, tuple)],
  ];
}

function ratioOf(times: readonly number[], others: readonly number[]): string {
  const { min, median, max } = spreadOf(times.map((time, round) => time / others[round]));
  return [min, median, max].map((value) => value.toFixed(2)).join(' / ');
}

function timed(variant: Variant, batch: PacketBatch, digests: Int32Array): number {
  const start = performance.now();
  for (let pass = 0; pass < PASSES; pass++) variant(batch, digests);
  return ((performance.now() - start) * 1e6) / (PASSES * batch.count);
}

/** @throws when a variant disagrees: a wrong hash may well be fast */
function requireSame(
  batch: PacketBatch,
  native: ReturnType<typeof nativeHash>,
  variants: readonly [string, Variant][],
): void {
  const expected = new Int32Array(BATCH_CAPACITY);
  native(batch, 1, expected);
  for (const [name, variant] of variants) {
    const digests = new Int32Array(BATCH_CAPACITY);
    variant(batch, digests);
    if (digests.some((digest, i) => digest !== expected[i])) throw new Error(`hash: ${name} is wrong`);
  }
}

function nativeHash(library: string, version: 4 | 6) {
  const round = koffi
    .load(library)
    .func(
      'double hash_round(const uint8_t *bytes, const int32_t *offsets, int count, int version, const uint32_t *key, int passes, _Out_ int32_t *digests)',
    );
  const key = Uint32Array.of(KEY0, KEY1);
  return ({ bytes, offset, count }: PacketBatch, passes: number, digests: Int32Array): number =>
    round(bytes, offset, count, version, key, passes, digests) / (passes * count);
}

/** As `fourTupleKey` and the forwarder do it. */
function typescript4(): Variant {
  const { words } = new FlowKey();
  return ({ data, offset, count }, digests) => {
    for (let i = 0; i < count; i++) {
      copy4(words, 0, 1, data, offset[i]);
      digests[i] = halfSipHash24(words, 12, KEY0, KEY1);
    }
  };
}

function typescript6(): Variant {
  const { words } = new FlowKey();
  return ({ data, offset, count }, digests) => {
    for (let i = 0; i < count; i++) {
      copy6(words, 0, 1, data, offset[i]);
      digests[i] = halfSipHash24(words, 36, KEY0, KEY1);
    }
  };
}

/** Copies the 4-tuple of a packet at `from` to word `to`, its words `step` apart. */
type Copy = (words: Int32Array, to: number, step: number, data: DataView, from: number) => void;

const copy4: Copy = (words, to, step, data, from) => {
  words[to] = data.getInt32(from + 12, true);
  words[to + step] = data.getInt32(from + 16, true);
  words[to + 2 * step] = data.getInt32(from + 20, true);
};

const copy6: Copy = (words, to, step, data, from) => {
  words[to] = data.getInt32(from + 8, true);
  words[to + step] = data.getInt32(from + 12, true);
  words[to + 2 * step] = data.getInt32(from + 16, true);
  words[to + 3 * step] = data.getInt32(from + 20, true);
  words[to + 4 * step] = data.getInt32(from + 24, true);
  words[to + 5 * step] = data.getInt32(from + 28, true);
  words[to + 6 * step] = data.getInt32(from + 32, true);
  words[to + 7 * step] = data.getInt32(from + 36, true);
  words[to + 8 * step] = data.getInt32(from + 40, true);
};

/**
 * A batch of messages in the module's memory. Key and last word are the same for all of them here and written once: a
 * forwarder would have to write them for each packet, as trafficsets have keys of their own.
 */
function layOut(hash: WasmHash, tuple: number, lanes: 1 | 4): void {
  const memory = hash.words;
  const group = lanes * (KEY_WORDS + tuple + 1);
  for (let message = 0; message < BATCH_CAPACITY; message++) {
    const at = MESSAGES_AT / 4 + Math.floor(message / lanes) * group + (message % lanes);
    memory[at] = KEY0;
    memory[at + lanes] = KEY1;
    memory[at + lanes * (KEY_WORDS + tuple)] = lastWord(4 * tuple, 0);
  }
}

function wasmCalls(hash: WasmHash, copy: Copy, tuple: number): Variant {
  const memory = hash.words;
  const stride = 4 * (KEY_WORDS + tuple + 1);
  return ({ data, offset, count }, digests) => {
    for (let i = 0; i < count; i++) {
      copy(memory, MESSAGES_AT / 4 + KEY_WORDS, 1, data, offset[i]);
      hash.each(MESSAGES_AT, 1, stride, tuple + 1, DIGESTS_AT);
      digests[i] = memory[DIGESTS_AT / 4];
    }
  };
}

function wasmBatch(hash: WasmHash, copy: Copy, tuple: number): Variant {
  const memory = hash.words;
  const each = KEY_WORDS + tuple + 1;
  return ({ data, offset, count }, digests) => {
    for (let i = 0; i < count; i++) {
      copy(memory, MESSAGES_AT / 4 + i * each + KEY_WORDS, 1, data, offset[i]);
    }
    hash.each(MESSAGES_AT, count, 4 * each, tuple + 1, DIGESTS_AT);
    for (let i = 0; i < count; i++) digests[i] = memory[DIGESTS_AT / 4 + i];
  };
}

/** The batch is a multiple of four. */
function wasmVector(hash: WasmHash, copy: Copy, tuple: number): Variant {
  const memory = hash.words;
  const group = 4 * (KEY_WORDS + tuple + 1);
  return ({ data, offset, count }, digests) => {
    for (let i = 0; i < count; i++) {
      copy(memory, MESSAGES_AT / 4 + (i >>> 2) * group + (i & 3) + 4 * KEY_WORDS, 4, data, offset[i]);
    }
    hash.fours(MESSAGES_AT, count >>> 2, 4 * group, tuple + 1, DIGESTS_AT);
    for (let i = 0; i < count; i++) digests[i] = memory[DIGESTS_AT / 4 + i];
  };
}
