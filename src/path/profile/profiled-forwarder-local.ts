import { IP_PROTOCOL_TCP } from '../../wire/ip.js';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../wire/tcp.js';
import { type SocketLookup, SocketQueries, SocketState } from '../sockets.js';
import type { ForwardReason } from './forward-reason.js';
import type { ForwarderService } from './forwarder-site.js';
import { describeFlow, type ForwardFlow, type ForwardReading, tell } from './profiled-forwarder-reading.js';

/** The model where this server is the first hop: what its redirector would decide, without the wire in between. */

/** @param second where the packet would go from here, or null. @returns an end; `redirect` sends it to the second hop */
export function decideHere(
  reading: ForwardReading,
  service: ForwarderService,
  flow: ForwardFlow,
  second: number | null,
  sockets: SocketLookup,
): ForwardReason {
  const { data, site } = reading;
  const here = (reason: ForwardReason, because: string): ForwardReason => {
    tell(reading, 'The packet stays here', because);
    return reason;
  };
  const query = queryOf(data, flow);
  if (flow.protocol === IP_PROTOCOL_TCP && (flow.tcpFlags & TCP_SYN) !== 0) {
    sockets.synAccepted(query, 0, flow.sequence);
    return here('accept_syn', 'it is a SYN: new connections belong to the first hop');
  }
  const isSelf = second === site.address;
  if (second === null || isSelf || !service.hasSecondHop) {
    const because = isSelf ? 'the second hop is this server too' : 'there is no second hop';
    if (flow.quoted) return here('accept_icmp_error', because);
    return here(isSelf ? 'accept_self' : 'accept_last_hop', because);
  }

  sockets.resolve(query);
  const name = describeFlow(data, flow);
  const state = query.state[0];
  if (state === SocketState.Established) {
    const reason = flow.quoted ? 'accept_icmp_error' : 'accept_established';
    return here(reason, `a socket of this server belongs to ${name}`);
  }
  if (state === SocketState.Failed) {
    tell(reading, 'The packet is dropped', `the sockets could not be asked for ${name}`);
    return 'drop_lookup_failed';
  }
  const isBareAck = (flow.tcpFlags & (TCP_ACK | TCP_FIN | TCP_RST | TCP_SYN)) === TCP_ACK;
  if (state === SocketState.Listening && isBareAck && sockets.completesCookie(query, 0, flow.sequence)) {
    return here('accept_syn_cookie', `it completes the handshake of ${name} by a SYN cookie`);
  }
  tell(reading, 'The packet goes on to the second hop', `no socket of this server belongs to ${name}`);
  return 'redirect';
}

/** The VIP is the local side. */
function queryOf(data: DataView, flow: ForwardFlow): SocketQueries {
  const query = new SocketQueries(1);
  const length = flow.version === 4 ? 4 : 16;
  for (let i = 0; i < length; i++) {
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
