import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/**
 * How the testbed's processes talk: one JSON value per line. Both ends are this package, so a line that is not
 * JSON is somebody printing where nobody should, and is reported as it is.
 */

/** Calls `onValue` per line, and `onEnd` when the other side has closed its end (by dying, for example). */
export function readJsonLines(
  stream: Readable,
  onValue: (value: unknown) => void,
  onEnd: () => void = () => {},
): void {
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on('line', (line) => {
    if (line !== '') onValue(parse(line));
  });
  lines.on('close', onEnd);
}

export function writeJsonLine(stream: Writable, value: unknown): void {
  stream.write(`${JSON.stringify(value)}\n`);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`not a line of JSON: ${line.slice(0, 200)}`);
  }
}
