import { setPriority } from 'node:os';
import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 inline the whole of one stage into its batch loop. By default it stops after 920 bytes of bytecode (4,600
 * counting the smallest functions) and at functions of more than 460, which leaves a call, and a boxed number, at
 * every layer of the path: three quarters of the speed (native-notes/benchmarks.md).
 *
 * For the whole process, its workers included, so it has to come before the first of them starts.
 */
export function widenInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size=3000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=30000');
  setFlagsFromString('--max-inlined-bytecode-size-absolute=60000');
  setFlagsFromString('--min-inlining-frequency=0');
}

/** Nice value of data-plane threads. */
const DATA_PLANE_PRIORITY = -10;

/**
 * Puts the calling thread before the others of this server, where that is permitted: packets do not wait until the
 * main thread has read a table. On Linux a priority belongs to a thread, and 0 means the one that asks.
 */
export function preferThisThread(): void {
  try {
    setPriority(0, DATA_PLANE_PRIORITY);
  } catch {
    // Without the right to it (CAP_SYS_NICE) the thread is one among equals.
  }
}
