import { z } from 'zod';
import { halfSipHash24 } from '../../flow/halfsiphash.js';
import { SIPHASH_KEY_LENGTH, SipHash24 } from '../../flow/siphash.js';
import { ConformanceError, malformedVector, type VectorFormat, type VectorResult } from './format.js';
import { isRecord, shapeProblems } from './shape.js';

/**
 * The vectors of SipHash's reference implementation: `digests[i]` is the hash of the bytes 0, 1, .. i-1 under the key
 * of the bytes 0, 1, .., in hexadecimal.
 */

/** Work and memory grow with the square of the number of digests; the reference has 64. */
const MOST_DIGESTS = 1024;

export const sipHashVectors: VectorFormat = formatOf('siphash-2-4', 8, (message, length) => {
  const hash = new SipHash24(Uint8Array.from({ length: SIPHASH_KEY_LENGTH }, (_, index) => index));
  hash.hash(message, length);
  return [hash.low, hash.high];
});

export const halfSipHashVectors: VectorFormat = formatOf('halfsiphash-2-4', 4, (message, length) => [
  halfSipHash24(message, length, 0x03020100, 0x07060504),
]);

/** @param size of a digest in bytes; @param hash gives a digest as little-endian words */
function formatOf(
  name: string,
  size: number,
  hash: (message: Int32Array, length: number) => number[],
): VectorFormat {
  const digest = z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * size}}$`, 'i'), { error: `expected ${2 * size} hexadecimal digits` });
  return {
    name,

    recognises(file): boolean {
      return (
        isRecord(file) &&
        Array.isArray(file.digests) &&
        file.digests.some((value) => digest.safeParse(value).success)
      );
    },

    *run(file): Generator<VectorResult> {
      if (!isRecord(file) || !Array.isArray(file.digests)) return;
      if (file.digests.length > MOST_DIGESTS) {
        throw new ConformanceError(
          `${name}: ${file.digests.length} digests are more than the ${MOST_DIGESTS} that are run`,
        );
      }
      const message = new Int32Array(MOST_DIGESTS / 4);
      const bytes = new Uint8Array(message.buffer);
      bytes.forEach((_, index) => {
        bytes[index] = index & 0xff;
      });
      for (const [length, value] of file.digests.entries()) {
        const vector = `${name}/${length} bytes`;
        const expected = digest.safeParse(value);
        if (!expected.success) {
          yield malformedVector(length, vector, shapeProblems(expected.error, value));
          continue;
        }
        const words = Int32Array.from(hash(message, length));
        const got = Buffer.from(words.buffer).toString('hex');
        const detail =
          got === expected.data.toLowerCase() ? [] : [`expected ${expected.data}`, `got      ${got}`];
        yield { group: name, name: vector, outcome: detail.length === 0 ? 'passed' : 'failed', detail };
      }
    },
  };
}
