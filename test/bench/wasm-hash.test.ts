import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DIGESTS_AT, lastWord, loadWasmHash, MESSAGES_AT } from './wasm-hash.js';

const { digests }: { digests: string[] } = JSON.parse(
  readFileSync(new URL('../data/halfsiphash-2-4-32.json', import.meta.url), 'utf8'),
);

/** The words of the reference vectors: key 00 01 .. 07, messages 00 01 02 .. of every length; key, tuple, last word. */
function message(length: number): Int32Array {
  const bytes = new DataView(new ArrayBuffer(64 + 4));
  for (let i = 0; i < length; i++) bytes.setUint8(i, i);
  const whole = length >>> 2;
  const words = Array.from({ length: whole }, (_, i) => bytes.getInt32(4 * i, true));
  return Int32Array.of(0x03020100, 0x07060504, ...words, lastWord(length, bytes.getInt32(4 * whole, true)));
}

function hex(digest: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(digest);
  return bytes.toString('hex');
}

describe('the hash in WebAssembly', () => {
  it('gives the digests of the reference vectors, one message at a time', async () => {
    const { words, each } = await loadWasmHash();
    for (const [length, digest] of digests.entries()) {
      const own = message(length);
      words.set(own, MESSAGES_AT / 4);
      each(MESSAGES_AT, 1, 4 * own.length, own.length - 2, DIGESTS_AT);
      expect(hex(words[DIGESTS_AT / 4]), `${length} bytes`).toBe(digest);
    }
  });

  it('gives them four at a time, each in its lane', async () => {
    const { words, fours } = await loadWasmHash();
    for (const [length, digest] of digests.entries()) {
      const own = message(length);
      for (let lane = 0; lane < 4; lane++) {
        own.forEach((word, index) => {
          // The other lanes hold another message.
          words[MESSAGES_AT / 4 + 4 * index + lane] = lane === length % 4 ? word : ~word;
        });
      }
      fours(MESSAGES_AT, 1, 16 * own.length, own.length - 2, DIGESTS_AT);
      const got = Array.from({ length: 4 }, (_, lane) => hex(words[DIGESTS_AT / 4 + lane]));
      expect(got.indexOf(digest), `${length} bytes`).toBe(length % 4);
    }
  });
});
