import type { SocketLookup } from '../sockets.js';
import { decide } from './decision.js';
import { type ForwardReason, isForwardReason } from './forward-reason.js';
import type { ForwarderService } from './forwarder-site.js';
import type { ForwardFlow, ForwardReading } from './profiled-forwarder-reading.js';
import { RedirectTrace } from './redirect-trace.js';
import { type RedirectorProfile, twohop } from './redirector-profile.js';
import { bareSite } from './redirector-site.js';

/** The model where this server is the first hop: what its redirector would decide, without the wire in between. */

/** The second hop comes from our own table, not from a wrapper that anybody may have written. */
const AT_FIRST_HOP: RedirectorProfile = { ...twohop, underlayHop: 'ignored' };

/**
 * @param second where the packet would go from here, or null
 * @param isSession whether the service here has the session; null where sessions do not decide
 * @returns an end; `redirect` sends it to the second hop
 */
export function decideHere(
  { data, site, steps }: ForwardReading,
  service: ForwarderService,
  flow: ForwardFlow,
  second: number | null,
  isSession: boolean | null,
  sockets: SocketLookup,
): ForwardReason {
  const trace = new RedirectTrace();
  const reading = {
    profile: AT_FIRST_HOP,
    site: { ...bareSite(site.address, site.port), hasSecondHop: () => service.hasSecondHop },
    data,
    trace,
    trafficset: service.index,
    fragment: 'none' as const,
  };
  const reason = decide(reading, { hop: second, forwardSyn: false }, flow, isSession, sockets);
  steps.push(...trace.steps);
  if (!isForwardReason(reason)) throw new Error(`no forwarder ends with ${reason}`);
  return reason;
}
