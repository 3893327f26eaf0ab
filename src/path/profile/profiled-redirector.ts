import type { SocketLookup } from '../sockets.js';
import { decide } from './decision.js';
import { readInnerFlow } from './inner-flow.js';
import { type Outgoing, sendOn, sendOnInGre, unwrap } from './outgoing.js';
import type { Reading } from './reading.js';
import { REDIRECT_REASONS, type RedirectAction, type RedirectReason } from './redirect-reason.js';
import { type RedirectEvent, type RedirectStep, RedirectTrace } from './redirect-trace.js';
import type { RedirectorProfile } from './redirector-profile.js';
import type { RedirectorSite } from './redirector-site.js';
import { readWrapper, type Wrapper } from './wrapper.js';

/** What became of one packet. */
export interface RedirectOutcome {
  readonly action: RedirectAction;
  readonly reason: RedirectReason;
  /** What leaves: the packet as it came, the inner packet, or the packet for the next hop. Empty when dropped. */
  readonly bytes: Uint8Array;
  /** Where it was sent as a number, 0 when it was not. */
  readonly nextHop: number;
  /** Index of the inner packet's trafficset, -1 when none was found or none was looked for. */
  readonly trafficset: number;
  /** What is counted, in order. */
  readonly events: readonly RedirectEvent[];
  /** What was looked at and decided, in order, for people. */
  readonly steps: readonly RedirectStep[];
}

/**
 * The redirector, slow and obvious: one packet at a time, any profile, with an account of what it did. For replay,
 * explanations and conformance; the hot `Redirector` does the same for the profile `twohop`.
 *
 * A lookup is told of delivered SYNs and completed handshakes, as by the hot one; the caller tells it of deliveries.
 */
export class ProfiledRedirector {
  constructor(
    private readonly profile: RedirectorProfile,
    private readonly site: RedirectorSite,
    private readonly sockets: SocketLookup,
  ) {}

  /** @param packet from the outer IPv4 header to the last byte present; not changed */
  process(packet: Uint8Array): RedirectOutcome {
    const reading: Reading = {
      profile: this.profile,
      site: this.site,
      data: new DataView(packet.buffer, packet.byteOffset, packet.byteLength),
      trace: new RedirectTrace(),
      trafficset: -1,
    };
    const wrapper = readWrapper(reading);
    const reason = typeof wrapper === 'string' ? wrapper : this.judge(reading, wrapper);
    const outgoing = this.conclude(reading, wrapper, reason, packet);
    const { action } = REDIRECT_REASONS[outgoing.reason];
    const sent = action === 'redirect' || action === 'redirect-gre';
    return {
      action,
      ...outgoing,
      nextHop: sent && typeof wrapper !== 'string' ? (wrapper.hop ?? 0) : 0,
      trafficset: reading.trafficset,
      events: reading.trace.events,
      steps: reading.trace.steps,
    };
  }

  private judge(reading: Reading, wrapper: Wrapper): RedirectReason {
    if (wrapper.hop === null && this.profile.innerAtLastHop === 'unread') {
      reading.trace.count('accepted last hop');
      reading.trace.tell('The packet stays here', 'there is no further hop, and nothing else is looked at');
      return 'accept_last_hop';
    }
    const flow = readInnerFlow(reading, wrapper);
    return typeof flow === 'string' ? flow : decide(reading, wrapper, flow, this.sockets);
  }

  private conclude(
    reading: Reading,
    wrapper: Wrapper | RedirectReason,
    reason: RedirectReason,
    packet: Uint8Array,
  ): Outgoing {
    const { action } = REDIRECT_REASONS[reason];
    if (action === 'pass') return { reason, bytes: Uint8Array.from(packet) };
    if (action === 'drop' || typeof wrapper === 'string') return { reason, bytes: new Uint8Array(0) };
    if (action === 'accept') return unwrap(reading, wrapper, reason);
    const hop = wrapper.hop ?? 0;
    return wrapper.gre ? sendOnInGre(reading, wrapper, hop) : sendOn(reading, wrapper, hop);
  }
}
