import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

/** HalfSipHash-2-4 in WebAssembly (wasm/halfsiphash.wat), in the memory that its messages are copied into. */

/** Node has it; the types that TypeScript has of it are the browsers'. */
declare const WebAssembly: { instantiate(module: Uint8Array): Promise<{ instance: { exports: unknown } }> };

/** The source lies beside this file's source, not beside what the compiler made of it; tests run the source itself. */
const SOURCES = ['../../../test/bench/wasm/halfsiphash.wat', './wasm/halfsiphash.wat'];

export const MESSAGES_AT = 0;
export const DIGESTS_AT = 32_768;

export interface WasmHash {
  /** The module's memory as words: messages from {@link MESSAGES_AT}, digests from {@link DIGESTS_AT}, in bytes. */
  readonly words: Int32Array;
  /** See the source for how messages lie there. `words` counts those of one message, without its key. */
  each(at: number, count: number, stride: number, words: number, out: number): void;
  fours(at: number, groups: number, stride: number, words: number, out: number): void;
}

/** Compiles the source. */
export async function loadWasmHash(): Promise<WasmHash> {
  const compiler = await wabt();
  const source = compiler.parseWat('halfsiphash.wat', readSource(), { simd: true });
  const { buffer } = source.toBinary({});
  source.destroy();
  const { instance } = await WebAssembly.instantiate(Uint8Array.from(buffer));
  const { memory, each, fours } = instance.exports as {
    memory: { buffer: ArrayBuffer };
    each: WasmHash['each'];
    fours: WasmHash['fours'];
  };
  return { words: new Int32Array(memory.buffer), each, fours };
}

function readSource(): string {
  for (const source of SOURCES) {
    try {
      return readFileSync(fileURLToPath(new URL(source, import.meta.url)), 'utf8');
    } catch {
      // The other place, then.
    }
  }
  throw new Error('The source of the hash in WebAssembly is not where the benchmarks are');
}

/** How many words a message has with the last one, which holds its length. */
export function messageWords(length: number): number {
  return (length >>> 2) + 1;
}

/** The last word of a message: its length, and the bytes left over. @param tail the last word's bytes, little-endian */
export function lastWord(length: number, tail: number): number {
  const left = length & 3;
  return (length << 24) | (left === 0 ? 0 : tail & ((1 << (left << 3)) - 1));
}
