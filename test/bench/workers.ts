import { fileURLToPath } from 'node:url';
import { runEnclosed } from './enclosed.js';
import type { Row } from './report.js';
import type { NativePrograms } from './twin.js';

/** What a second worker adds: two threads on two queues against one thread on one; see workers-child.ts. */

const CHILD = fileURLToPath(new URL('./workers-child.js', import.meta.url));

export interface WorkersOptions {
  readonly programs: NativePrograms;
  readonly rounds: number;
  /** Packets of one turn. */
  readonly packets: number;
}

/** @throws when the child fails; it says why on standard error */
export function benchWorkers(options: WorkersOptions): Row[] {
  return runEnclosed<Row[]>(CHILD, options, 'the benchmark of workers');
}
