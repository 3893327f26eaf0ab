import { formatIpv4, formatIpv6 } from '../../wire/address.js';
import { IP_PROTOCOL_TCP } from '../../wire/ip.js';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../wire/tcp.js';
import { type SocketLookup, SocketQueries, SocketState } from '../sockets.js';
import type { InnerFlow, Reading } from './reading.js';
import type { RedirectReason } from './redirect-reason.js';
import type { Wrapper } from './wrapper.js';

/** Fourth part of the model: does the flow belong here, or to the next hop? */

/** @param isSession whether the service here has the session; null where sessions do not decide */
export function decide(
  reading: Reading,
  wrapper: Pick<Wrapper, 'hop' | 'forwardSyn'>,
  flow: InnerFlow,
  isSession: boolean | null,
  sockets: SocketLookup,
): RedirectReason {
  const { profile, site, data, trace } = reading;
  const { hop } = wrapper;
  if (hop !== null && profile.underlayHop === 'checked' && !site.isUnderlay(hop)) {
    trace.tell('The hop list cannot be used', `${formatIpv4(hop)} is no address of the underlay`);
    return 'drop_hop_list';
  }
  const isSelf = hop === site.address && profile.nextHopIsSelf === 'accept';
  const hasSecondHop = profile.services === 'ignored' || site.hasSecondHop(reading.trafficset);
  const goesOn = hop !== null && !isSelf && hasSecondHop;
  if (isSession !== null) {
    if (isSession) {
      trace.count('accepted session');
      trace.tell('The packet stays here', 'the service of this server has the session');
      return flow.quoted ? 'accept_icmp_error' : 'accept_session';
    }
    trace.tell('No session belongs to the packet', 'the service of this server has not published it');
    if (!goesOn) return atLastHop(reading, flow, isSelf, hasSecondHop);
    trace.tell('The packet goes on to the next hop', 'new sessions belong there, and older ones perhaps');
    return 'redirect';
  }
  const query = queryOf(data, flow);

  if (flow.protocol === IP_PROTOCOL_TCP && (flow.tcpFlags & TCP_SYN) !== 0) {
    if (goesOn && wrapper.forwardSyn) {
      trace.tell('The SYN goes on', 'the wrapper asks that SYNs go to the next hop too');
      return 'redirect';
    }
    trace.count('accepted syn');
    trace.tell('The packet stays here', 'it is a SYN: new connections belong to the first hop');
    sockets.synAccepted(query, 0, flow.sequence);
    return 'accept_syn';
  }
  if (!goesOn && profile.socketsAtLastHop === 'not-asked')
    return atLastHop(reading, flow, isSelf, hasSecondHop);

  const answer = askSockets(reading, flow, query, sockets);
  if (answer !== null) return answer;
  if (!goesOn) return atLastHop(reading, flow, isSelf, hasSecondHop);
  trace.tell('The packet goes on to the next hop', 'no socket here knows its flow');
  return 'redirect';
}

function atLastHop(
  { trace }: Reading,
  flow: InnerFlow,
  isSelf: boolean,
  hasSecondHop: boolean,
): RedirectReason {
  const because = isSelf
    ? 'the next hop is this server'
    : hasSecondHop
      ? 'there is no further hop'
      : 'flows of its trafficset have one hop only';
  trace.count(isSelf ? 'accepted self' : 'accepted last hop');
  trace.tell('The packet stays here', because);
  if (flow.quoted) return 'accept_icmp_error';
  return isSelf ? 'accept_self' : 'accept_last_hop';
}

/** @returns the end of the packet, or null when no socket claims it */
function askSockets(
  { profile, data, trace }: Reading,
  flow: InnerFlow,
  query: SocketQueries,
  sockets: SocketLookup,
): RedirectReason | null {
  sockets.resolve(query);
  const name = describeFlow(data, flow);
  switch (query.state[0]) {
    case SocketState.Established:
      trace.count('accepted established');
      trace.tell('The packet stays here', `a socket of this server belongs to the flow ${name}`);
      return flow.quoted ? 'accept_icmp_error' : 'accept_established';
    case SocketState.Failed:
      trace.tell('The packet is lost', `the sockets could not be asked for the flow ${name}`);
      return 'drop_lookup_failed';
    case SocketState.Listening:
      if (
        mayCompleteCookie(flow, profile.cookieWithFin) &&
        sockets.completesCookie(query, 0, flow.sequence)
      ) {
        trace.count('accepted syn cookie');
        trace.tell('The packet stays here', `it completes the handshake of ${name} by a SYN cookie`);
        return 'accept_syn_cookie';
      }
      trace.tell('No socket belongs to the flow', `there is only a socket that takes new flows for ${name}`);
      return null;
    default:
      trace.tell('No socket belongs to the flow', `there is none for ${name}`);
      return null;
  }
}

/** A bare ACK: what else the flags may say. Quoted packets and UDP have no flags here, and so no ACK. */
function mayCompleteCookie(flow: InnerFlow, withFin: 'accepted' | 'refused'): boolean {
  const unwanted = TCP_SYN | TCP_RST | (withFin === 'refused' ? TCP_FIN : 0);
  return flow.protocol === IP_PROTOCOL_TCP && (flow.tcpFlags & (TCP_ACK | unwanted)) === TCP_ACK;
}

function queryOf(data: DataView, flow: InnerFlow): SocketQueries {
  const query = new SocketQueries(1);
  const addressLength = flow.version === 4 ? 4 : 16;
  for (let i = 0; i < addressLength; i++) {
    query.tuples[i] = data.getUint8(flow.vip + i);
    query.tuples[16 + i] = data.getUint8(flow.client + i);
  }
  query.tuplesData.setUint16(32, flow.vipPort);
  query.tuplesData.setUint16(34, flow.clientPort);
  query.version[0] = flow.version;
  query.protocol[0] = flow.protocol;
  query.count = 1;
  return query;
}

function describeFlow(data: DataView, flow: InnerFlow): string {
  const end = (address: number, port: number) =>
    flow.version === 4
      ? `${formatIpv4(data.getUint32(address))}:${port}`
      : `[${formatIpv6(data, address)}]:${port}`;
  const protocol = flow.protocol === IP_PROTOCOL_TCP ? 'TCP' : 'UDP';
  return `${protocol} ${end(flow.client, flow.clientPort)} to ${end(flow.vip, flow.vipPort)}`;
}
