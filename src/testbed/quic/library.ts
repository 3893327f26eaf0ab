import type { Quiche } from '@matrixai/quic/native/index.js';
import { messageOf, TestbedError } from '../errors.js';

export type { Quiche } from '@matrixai/quic/native/index.js';
export type { Config, Connection, Host, PathEvent } from '@matrixai/quic/native/types.js';

const PACKAGE = '@matrixai/quic';

/**
 * Cloudflare's quiche, as the npm package brings it with a binary for this machine. Only the testbed needs it, so it is
 * a development dependency: an installed Twohop comes without.
 * @throws {TestbedError} saying what to do when it is not here
 */
export async function loadQuiche(): Promise<Quiche> {
  try {
    return (await import('@matrixai/quic/native/index.js')).quiche;
  } catch (error) {
    const machine = `${process.platform} ${process.arch}`;
    throw new TestbedError(
      `QUIC servers need the npm package ${PACKAGE} and its binary for ${machine}: in a clone, npm install; ` +
        `beside an installed twohop, npm install ${PACKAGE} (${messageOf(error)})`,
    );
  }
}
