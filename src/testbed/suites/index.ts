import { TestbedError } from '../errors.js';
import { conductor } from './conductor.js';
import { quic } from './quic.js';
import { roaming } from './roaming.js';
import type { Suite } from './suite.js';
import { udp } from './udp.js';
import { web } from './web.js';

/** All demonstrations; the first is the default. */
export const SUITES: readonly Suite[] = [web, roaming, udp, quic, conductor];

export const DEFAULT_SUITE = web;

/** @throws {TestbedError} when there is none of this name */
export function suiteNamed(name: string): Suite {
  const suite = SUITES.find((one) => one.name === name);
  if (suite === undefined) {
    const names = SUITES.map((one) => one.name).join(', ');
    throw new TestbedError(`no demonstration ${JSON.stringify(name)}: there are ${names}`);
  }
  return suite;
}
