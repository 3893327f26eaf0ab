/**
 * Milliseconds of a clock that never goes back and is the same in all threads of the process (CLOCK_MONOTONIC;
 * `performance.now()` alone counts from each thread's start).
 */
export function monotonicMilliseconds(): number {
  return performance.now() + OFFSET;
}

const [seconds, nanoseconds] = process.hrtime();
const OFFSET = seconds * 1000 + nanoseconds / 1e6 - performance.now();
