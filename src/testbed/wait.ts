import { setTimeout as sleep } from 'node:timers/promises';
import { TestbedError } from './errors.js';

/** For processes that start: there are many at the same time, on a machine that may have other work. */
export const START_MS = 60_000;

/**
 * Probes until `probe` says yes. The pause grows a little, so that quick things are noticed quickly and slow ones
 * are not hindered.
 * @param probe throws to give up at once
 * @param seen what there was in its place, for people
 * @throws {TestbedError} naming `what`, and what was seen, when `timeoutMs` have passed
 */
export async function waitUntil(
  what: string,
  probe: () => Promise<boolean> | boolean,
  timeoutMs = 15_000,
  seen: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let pause = 5; ; pause = Math.min(100, pause * 1.5)) {
    if (await probe()) return;
    if (performance.now() > deadline) {
      const instead = seen();
      throw new TestbedError(
        `waited ${timeoutMs / 1000} s in vain: ${what}${instead === '' ? '' : ` (${instead})`}`,
      );
    }
    await sleep(pause);
  }
}
