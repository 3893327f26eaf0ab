import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 inline the whole of one stage into its batch loop. By default it stops after 920 bytes of bytecode and at
 * functions of more than 460, which leaves a call, and a boxed number, at every layer of the path: three quarters of
 * the speed (native-notes/benchmarks.md).
 *
 * For the whole process, its workers included, so it has to come before the first of them starts.
 */
export function widenInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size=1000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=10000');
}
