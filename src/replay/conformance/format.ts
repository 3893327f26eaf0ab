import type { RedirectStep } from '../../path/profile/redirect-trace.js';

/**
 * Vectors: packets (or other inputs) with what a published system made of them. A format knows the files of one
 * system: what they look like, and how to ask ours the same questions.
 */

export interface VectorResult {
  /** What the table sums over: the part of the vector's name before the first `/`. */
  readonly group: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'not-asked';
  /** Lines for people: what differed, byte by byte where bytes differ, or why the vector was not asked. */
  readonly detail: readonly string[];
}

export interface VectorFormat {
  /** As people call it, and as `--json` prints it. */
  readonly name: string;
  /**
   * Is this a file of the format? Told by content, from any JSON value; never throws. Contents may be wrong in places:
   * what is recognised is what `run` can say something about.
   */
  recognises(file: unknown): boolean;
  /**
   * One result per vector, in the order of the file. A vector that is not what the format asks for fails, with its
   * index and what is wrong with it; nothing is left out.
   * @throws ConformanceError where the file as a whole cannot be run
   */
  run(file: unknown): Iterable<VectorResult>;
}

/** A file that cannot be run: not readable, not a vector file, or contradicting itself as a whole. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
}

/** `group/case` gives `group`; a name without `/` is its own group. */
export function groupOf(name: string): string {
  const slash = name.indexOf('/');
  return slash < 0 ? name : name.slice(0, slash);
}

/** The account of a model, for the detail of a vector that failed. */
export function accountOf(steps: readonly RedirectStep[]): string[] {
  return steps.map(({ what, because }) => `here: ${what}: ${because}`);
}

/** A vector that does not have the format's shape. @param index in the file, from 0 */
export function malformedVector(
  index: number,
  name: string | null,
  problems: readonly string[],
): VectorResult {
  return {
    group: name === null ? 'malformed' : groupOf(name),
    name: name ?? `#${index}`,
    outcome: 'failed',
    detail: problems.map((problem) => `vector ${index} is malformed: ${problem}`),
  };
}
