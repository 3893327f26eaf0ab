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
  // Calls on ways that one packet in twenty takes count, too; the default is one in seven. With all calls, code beside the
  // path is compiled into monsters: planning takes three to nine times as long.
  setFlagsFromString('--min-inlining-frequency=0.05');
}

/** Nice value of a node's main thread: a third of the weight of a thread at 0. */
const BEHIND = 5;

/**
 * Puts the calling thread behind the others of this server, once the data-plane threads are started: packets do not
 * wait until the main thread has read a table. It is not the data plane that is put before the others: a thread that
 * is preferred takes the processor from the services and the senders for every packet, instead of finding a batch
 * when its turn comes, which costs half of the new connections per second (native-notes/performance.md). On Linux a
 * priority belongs to a thread, 0 means the one that asks, and nobody needs a right to have less of it.
 */
export function standBehindDataPlane(): void {
  setPriority(0, BEHIND);
}
