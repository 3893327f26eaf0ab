import { formatAddress } from '../../path/profile/profiled-forwarder-reading.js';
import { ICMP_ECHO_REQUEST } from '../../wire/icmp.js';
import { ICMPV6_ECHO_REQUEST } from '../../wire/icmpv6.js';
import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_IPIP,
  IP_PROTOCOL_IPV6,
  IP_PROTOCOL_UDP,
  IpPacket,
} from '../../wire/ip.js';
import { Reason } from '../../wire/reason.js';
import { UNWRAPPED_AT } from './katran-world.js';

/** Which of Katran's fixtures ask a question that a load balancer which wraps in GUE can answer. */

/** UDP ports of packets in UDP: Katran's default, and GUE's. */
const TUNNEL_PORTS: readonly number[] = [9886, 6080];

/**
 * @param packet the input, from its IP header on; null when it is no IP
 * @param largest packet that this build of Katran forwards
 * @returns why the fixture is not asked, or null when it is
 */
export function whyNotAsked(retval: string, packet: Uint8Array | null, largest: number): string | null {
  if (retval.startsWith('TC_ACT_')) {
    return "Katran's health checks: its own probes, wrapped on their way out of the host; a forwarder sees none of them";
  }
  if (packet === null) return null;
  const ip = new IpPacket();
  const data = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  if (ip.parse(data, 0, packet.length) !== Reason.Ok) return null;
  const destination = formatAddress(data, ip.version === 4 ? 4 : 6, ip.version === 4 ? 16 : 24);
  if (UNWRAPPED_AT.has(destination) && isTunnelled(ip)) {
    return `Katran unwraps what comes in a tunnel to ${destination}, an address of its own; that is no forwarder's work`;
  }
  if (retval !== 'XDP_TX') return null;
  if (isEchoRequest(ip)) {
    return 'Katran answers echo requests itself; a GUE load balancer leaves them to the kernel of any server';
  }
  if (packet.length > largest) {
    return `Katran answers a packet of more than ${largest} bytes with an ICMP error of its own making; no forwarder here makes packets`;
  }
  return null;
}

function isTunnelled({ protocol, data, transport, end }: IpPacket): boolean {
  if (protocol === IP_PROTOCOL_IPIP || protocol === IP_PROTOCOL_IPV6) return true;
  return (
    protocol === IP_PROTOCOL_UDP &&
    end - transport >= 4 &&
    TUNNEL_PORTS.includes(data.getUint16(transport + 2))
  );
}

function isEchoRequest({ version, protocol, data, transport, end }: IpPacket): boolean {
  if (end === transport) return false;
  const type = data.getUint8(transport);
  return version === 4
    ? protocol === IP_PROTOCOL_ICMP && type === ICMP_ECHO_REQUEST
    : protocol === IP_PROTOCOL_ICMPV6 && type === ICMPV6_ECHO_REQUEST;
}
