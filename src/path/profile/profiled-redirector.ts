import { formatIpv4 } from '../../wire/address.js';
import type { SocketLookup } from '../sockets.js';
import { Datagrams } from './datagrams.js';
import { decide } from './decision.js';
import { FOUR_TUPLE } from './forwarder-profile.js';
import { readInnerFlow } from './inner-flow.js';
import { type Outgoing, sendOn, sendOnInGre, unwrap } from './outgoing.js';
import { keyOfFields } from './profiled-forwarder-key.js';
import type { InnerFlow, Reading } from './reading.js';
import { REDIRECT_REASONS, type RedirectAction, type RedirectReason } from './redirect-reason.js';
import { type RedirectEvent, type RedirectStep, RedirectTrace } from './redirect-trace.js';
import type { RedirectorProfile } from './redirector-profile.js';
import type { RedirectorSite } from './redirector-site.js';
import { delivered, serviceKey } from './service-key.js';
import { readWrapper, type Wrapper } from './wrapper.js';

/** How a first fragment ended, and so how the others of its datagram end. */
interface FragmentEnd {
  readonly reason: RedirectReason;
  readonly trafficset: number;
}

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
  /** Milliseconds on a clock that never goes back. */
  now = 1;
  private readonly datagrams = new Datagrams<FragmentEnd>();

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
      fragment: 'none',
    };
    const wrapper = readWrapper(reading);
    const reason = typeof wrapper === 'string' ? wrapper : this.judgeFragment(reading, wrapper);
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

  private judgeFragment(reading: Reading, wrapper: Wrapper): RedirectReason {
    const reason = this.judge(reading, wrapper);
    if (reading.fragment === 'none') return reason;
    const { trace, site, trafficset } = reading;
    const inner = innerOf(reading, wrapper);
    if (reading.fragment === 'first') {
      // What has no flow is not worth an entry: the others are then of no known datagram.
      if (reason === 'drop_malformed_transport') return reason;
      this.datagrams.note(inner, { reason, trafficset }, this.now);
      return reason;
    }
    const before = this.datagrams.find(inner, this.now);
    if (before === null) return reason;
    trace.steps.pop();
    reading.trafficset = before.trafficset;
    trace.tell('The packet ends as the first fragment of its datagram', 'that was seen before');
    if (before.reason !== 'redirect') return before.reason;
    if (wrapper.hop === null) return 'accept_last_hop';
    if (wrapper.hop === site.address) return 'accept_self';
    if (site.isUnderlay(wrapper.hop)) return 'redirect';
    trace.tell('The hop list cannot be used', `${formatIpv4(wrapper.hop)} is no address of the underlay`);
    return 'drop_hop_list';
  }

  private judge(reading: Reading, wrapper: Wrapper): RedirectReason {
    if (wrapper.hop === null && this.profile.innerAtLastHop === 'unread') {
      reading.trace.count('accepted last hop');
      reading.trace.tell('The packet stays here', 'there is no further hop, and nothing else is looked at');
      return 'accept_last_hop';
    }
    const flow = readInnerFlow(reading, wrapper);
    if (typeof flow === 'string') return flow;
    const isSession = this.isSession(reading, wrapper, flow);
    return isSession === 'refused'
      ? 'drop_dissector'
      : decide(reading, wrapper, flow, isSession, this.sockets);
  }

  /** @returns null where sessions do not decide */
  private isSession(reading: Reading, wrapper: Wrapper, flow: InnerFlow): boolean | null | 'refused' {
    const { profile, site, data, trafficset, trace } = reading;
    if (profile.services === 'ignored') return null;
    const { hasSession, dissector } = site.serviceOf(trafficset);
    // What cannot be followed is told by the decision first.
    const { hop } = wrapper;
    if (hasSession === null || dissector === null || (hop !== null && !site.isUnderlay(hop))) return null;
    const key = serviceKey(dissector, innerOf(reading, wrapper), flow.quoted);
    if (key.kind === 'refused') {
      trace.tell('The packet is dropped', `the flow dissector refused it: ${key.reason}`);
      return 'refused';
    }
    if (key.kind === 'unknown') return false;
    return hasSession(key.kind === 'key' ? key.bytes : keyOfFields(data, flow, FOUR_TUPLE));
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
    if (action === 'accept') {
      const outgoing = unwrap(reading, wrapper, reason);
      if (reading.trafficset < 0 || reading.fragment === 'later') return outgoing;
      const { dissector } = reading.site.serviceOf(reading.trafficset);
      return { ...outgoing, bytes: delivered(dissector, outgoing.bytes) };
    }
    const hop = wrapper.hop ?? 0;
    return wrapper.gre ? sendOnInGre(reading, wrapper, hop) : sendOn(reading, wrapper, hop);
  }
}

/** From the inner packet's IP header to the end of the outer packet. */
function innerOf({ data }: Reading, { inner, end }: Wrapper): DataView {
  return new DataView(data.buffer, data.byteOffset + inner, end - inner);
}
