import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ConformanceError, type VectorFormat, type VectorResult } from './format.js';
import { formatNames, VECTOR_FORMATS } from './registry.js';

/** Vector files from disk through their formats. */

/** A file that was read and recognised; running it is `format.run(content)`. */
export interface VectorFile {
  readonly path: string;
  readonly format: VectorFormat;
  readonly content: unknown;
}

export interface GroupTally {
  readonly group: string;
  passed: number;
  failed: number;
  notAsked: number;
}

/** What became of the vectors of one file. */
export interface FileReport {
  readonly path: string;
  readonly format: string;
  /** In the order in which the groups first appear. */
  readonly groups: readonly GroupTally[];
  readonly passed: number;
  readonly failed: number;
  readonly notAsked: number;
  /** The first failures, as many as were asked for. */
  readonly failures: readonly VectorResult[];
  /** Everything that was not asked. */
  readonly left: readonly VectorResult[];
}

/** Larger files are refused: a vector file is a few megabytes, and JSON takes many times its size in memory. */
const MOST_BYTES = 256 << 20;

/**
 * The vector files that a path stands for: itself, or for a directory its `*.json` and `*.json.gz`, by name.
 * @throws ConformanceError when there are none
 */
export function vectorPaths(path: string): string[] {
  if (!stat(path).isDirectory()) return [path];
  const names = readdirSync(path)
    .filter((name) => /\.json(\.gz)?$/.test(name))
    .sort();
  if (names.length > 0) return names.map((name) => join(path, name));
  throw new ConformanceError(`${path}: the directory holds no vector file (*.json or *.json.gz)`);
}

/**
 * Reads a vector file, gzip or not, and finds its format by its content.
 * @throws ConformanceError
 */
export function readVectorFile(path: string): VectorFile {
  const content = parseJson(path, readBytes(path));
  const format = VECTOR_FORMATS.find((candidate) => candidate.recognises(content));
  if (format !== undefined) return { path, format, content };
  throw new ConformanceError(
    `${path}: JSON, but no vector file of a format known here (${formatNames()}): ${describeContent(content)}`,
  );
}

/**
 * Runs all vectors of a file.
 * @param failures how many to keep with their detail
 * @param each is called with every result, in order
 * @throws ConformanceError when the file has no vector at all: nothing was shown then
 */
export function runVectorFile(
  file: VectorFile,
  failures: number,
  each: (result: VectorResult) => void = () => {},
): FileReport {
  const tally = new Tally(failures);
  for (const result of file.format.run(file.content)) {
    each(result);
    tally.add(result);
  }
  if (tally.isEmpty) throw new ConformanceError(`${file.path}: holds no vectors`);
  return tally.report(file.path, file.format.name);
}

/** Sums results up as they come. */
export class Tally {
  private readonly groups = new Map<string, GroupTally>();
  private readonly total = { passed: 0, failed: 0, notAsked: 0 };
  private readonly kept: VectorResult[] = [];
  private readonly left: VectorResult[] = [];

  /** @param failures how many to keep with their detail */
  constructor(private readonly failures: number) {}

  get isEmpty(): boolean {
    return this.groups.size === 0;
  }

  add(result: VectorResult): void {
    const count = result.outcome === 'not-asked' ? 'notAsked' : result.outcome;
    let group = this.groups.get(result.group);
    if (group === undefined) {
      group = { group: result.group, passed: 0, failed: 0, notAsked: 0 };
      this.groups.set(result.group, group);
    }
    group[count]++;
    this.total[count]++;
    if (count === 'notAsked') this.left.push(result);
    else if (count === 'failed' && this.kept.length < this.failures) this.kept.push(result);
  }

  report(path: string, format: string): FileReport {
    const { groups, total, kept, left } = this;
    return { path, format, groups: [...groups.values()], ...total, failures: kept, left };
  }
}

function stat(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readBytes(path: string): Buffer {
  const size = stat(path).size;
  if (size > MOST_BYTES) throw tooLarge(path);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: MOST_BYTES });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(path);
    throw new ConformanceError(`${path}: a gzip file that is damaged or cut: ${messageOf(error)}`);
  }
}

function parseJson(path: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new ConformanceError(
      `${path}: no vector file, these are JSON (formats: ${formatNames()}): ${messageOf(error)}`,
    );
  }
}

function describeContent(content: unknown): string {
  if (Array.isArray(content)) return `an array of ${content.length}`;
  if (typeof content !== 'object' || content === null)
    return `a ${content === null ? 'null' : typeof content}`;
  const keys = Object.keys(content);
  const named = keys
    .slice(0, 8)
    .map((key) => JSON.stringify(key.slice(0, 40)))
    .join(', ');
  return keys.length === 0 ? 'an empty object' : `an object with ${named}${keys.length > 8 ? ', ...' : ''}`;
}

function tooLarge(path: string): ConformanceError {
  return new ConformanceError(`${path}: larger than ${MOST_BYTES >> 20} MiB, which no vector file is`);
}

function unreadable(path: string, error: unknown): ConformanceError {
  return new ConformanceError(`${path}: cannot be read: ${messageOf(error)}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
