import type { ControlPlane } from '../../control/control-plane.js';
import type { ConductedServer } from '../../control/servers.js';
import { allHave, bucketsOf } from '../../control/view.js';

/** What the conductor has done about a server. */

const LONG_MS = 30_000;

/** Those that take new connections. */
export const serversInUse = ({ servers, watch }: ControlPlane): ConductedServer[] =>
  servers.filter(({ name }) => bucketsOf(watch.view, name) > 0);

/** Resolves when no node sends new connections to this server any more. */
export async function untilAvoided({ watch }: ControlPlane, server: string): Promise<void> {
  await watch.until(
    `new connections to avoid ${server}`,
    (view) => bucketsOf(view, server) === 0 && allHave(view),
    LONG_MS,
  );
}
