import { clsRedirect } from './cls-redirect.js';
import type { VectorFormat } from './format.js';

/** Every format that `twohop conformance` knows; the first that recognises a file takes it. */
export const VECTOR_FORMATS: readonly VectorFormat[] = [clsRedirect];

/** Names, for messages. */
export function formatNames(): string {
  return VECTOR_FORMATS.map((format) => format.name).join(', ');
}
