import { checksums } from './checksums.js';
import { clsRedirect } from './cls-redirect.js';
import type { VectorFormat } from './format.js';
import { glbDirector } from './glb-director.js';
import { glbTableRows } from './glb-table-rows.js';
import { halfSipHashVectors, sipHashVectors } from './hashes.js';
import { katranFixtures } from './katran.js';
import { quicLbVectors } from './quic-lb.js';

/** Every format that `twohop conformance` knows; the first that recognises a file takes it. */
export const VECTOR_FORMATS: readonly VectorFormat[] = [
  clsRedirect,
  glbDirector,
  glbTableRows,
  katranFixtures,
  sipHashVectors,
  halfSipHashVectors,
  checksums,
  quicLbVectors,
];

/** Names, for messages. */
export function formatNames(): string {
  return VECTOR_FORMATS.map((format) => format.name).join(', ');
}
