import type { ControlPlane } from '../../control/control-plane.js';
import type { ConductedServer } from '../../control/servers.js';
import { allHave, bucketsOf } from '../../control/view.js';

/** What the conductor has done about a server. */

const LONG_MS = 30_000;

/** Those that take new connections. */
export const serversInUse = ({ servers, watch }: ControlPlane): ConductedServer[] =>
  servers.filter(({ name }) => bucketsOf(watch.view, name) > 0);

/**
 * Resolves when no node sends new connections to this server any more.
 * @param isDead its own node sends nothing, whatever table the store says it has
 */
export async function untilAvoided(
  { watch }: ControlPlane,
  server: string,
  { isDead = false } = {},
): Promise<void> {
  await watch.until(
    `new connections to avoid ${server}`,
    (view) => bucketsOf(view, server) === 0 && allHave(view, isDead ? server : ''),
    LONG_MS,
  );
}

/** Resolves when every server that is to be used gets new connections, whatever the step before has left behind. */
export async function untilSettled({ watch }: ControlPlane): Promise<void> {
  await watch.until(
    'every server to be used',
    (view) => {
      const active = Object.entries(view.servers).filter(([, { state }]) => state === 'active');
      return active.every(([name]) => bucketsOf(view, name) > 0) && allHave(view);
    },
    LONG_MS,
  );
}
