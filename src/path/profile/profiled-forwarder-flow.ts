import { isIcmp } from '../../flow/flow.js';
import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../../wire/ip.js';
import {
  TCP_AT_DATA_OFFSET,
  TCP_AT_DESTINATION_PORT,
  TCP_AT_FLAGS,
  TCP_AT_SEQUENCE,
  TCP_AT_SOURCE_PORT,
  TCP_HEADER,
} from '../../wire/tcp.js';
import type { ForwardReason } from './forward-reason.js';
import { addressesOf, flowWithoutPorts } from './inner-ip.js';
import { readIcmp } from './profiled-forwarder-icmp.js';
import { type IpReading, protocolName, readIp } from './profiled-forwarder-ip.js';
import {
  type ForwardFlow,
  type ForwardReading,
  formatAddress,
  tell,
  unreadable,
} from './profiled-forwarder-reading.js';
import { leastOf, PORTS, passIfNotServed } from './profiled-forwarder-service.js';
import { ANY_PORT } from './reading.js';

/** Second part of the model: which flow the packet belongs to, and whose that is. */

/** @returns the flow, with `reading.service` set; or the packet's end where it has none */
export function readFlow(reading: ForwardReading): ForwardFlow | ForwardReason {
  const { profile, data, announced } = reading;
  const ip = readIp(profile, data, announced);
  if (typeof ip === 'string') {
    tell(reading, 'The packet cannot be read', ip);
    return unreadable(reading, 'drop_malformed_ip');
  }
  tell(reading, `The packet is IPv${ip.version} with ${protocolName(ip.protocol)}`, fromTo(data, ip));
  if (ip.options && profile.ipv4Options === 'dropped') {
    tell(reading, 'The packet is dropped', 'its IPv4 header has options');
    return 'drop_options';
  }
  if (ip.fragment !== 'none' && profile.fragments !== 'carried') {
    const end = readFragment(reading, ip);
    if (end !== null) return end;
  }
  if (isIcmp(ip.protocol, ip.version)) return readIcmp(reading, ip);
  return readPorts(reading, ip);
}

/** @returns how a fragment ends; null for a first one that is judged like a whole packet, and followed by the others */
function readFragment(reading: ForwardReading, ip: IpReading): ForwardReason | null {
  const { profile, data } = reading;
  const unknown = (): ForwardReason => {
    if (profile.fragments === 'by-service') {
      const passed = passIfNotServed(reading, ip, ip.protocol, ANY_PORT);
      if (passed !== null) return passed;
      if (reading.service?.followsFragments) {
        tell(reading, 'The packet is dropped', 'the first fragment of its datagram was not seen before it');
        return 'drop_fragment_unknown';
      }
    }
    tell(reading, 'The packet is dropped', 'it is a fragment: its flow cannot be told');
    return 'drop_fragment';
  };
  if (profile.fragments !== 'by-service') return unknown();
  if (ip.fragment === 'later') {
    reading.fragment = 'later';
    return unknown();
  }
  const isTransport = ip.protocol === IP_PROTOCOL_TCP || ip.protocol === IP_PROTOCOL_UDP;
  if (isTransport && ip.end - ip.transport < PORTS) return unknown();
  const port = isTransport ? data.getUint16(ip.transport + TCP_AT_DESTINATION_PORT) : ANY_PORT;
  const { destination } = addressesOf(ip);
  const match = reading.site.serviceOf(ip.version, data, destination, ip.protocol, port);
  if (typeof match === 'string') {
    const end = unknown();
    if (end !== 'drop_fragment_unknown') return end;
    // Somebody there follows fragments: the later ones end as this one does.
    reading.steps.pop();
    reading.service = null;
    reading.fragment = 'first';
    return passIfNotServed(reading, ip, ip.protocol, port);
  }
  if (!match.followsFragments) {
    reading.service = match;
    tell(reading, 'The packet is dropped', `it is a fragment, and ${match.name} drops them`);
    return 'drop_fragment';
  }
  reading.fragment = 'first';
  return null;
}

function readPorts(reading: ForwardReading, ip: IpReading): ForwardFlow | ForwardReason {
  const { profile, data } = reading;
  const isTransport = ip.protocol === IP_PROTOCOL_TCP || ip.protocol === IP_PROTOCOL_UDP;
  if (ip.protocol === IP_PROTOCOL_ESP && profile.esp === 'served') {
    return (
      passIfNotServed(reading, ip, ip.protocol, ANY_PORT) ?? {
        ...flowWithoutPorts(ip),
        hint: 0,
        length: ip.length,
      }
    );
  }
  if (!isTransport && profile.otherProtocols === 'pass') {
    const passed = passIfNotServed(reading, ip, ip.protocol, ANY_PORT);
    reading.service = null;
    if (passed !== null) return passed;
    tell(reading, 'The packet is left to the kernel', `no service has ${protocolName(ip.protocol)}`);
    return 'pass_no_service';
  }
  const problem = transportProblem(reading, ip);
  const port =
    ip.end - ip.transport >= PORTS ? data.getUint16(ip.transport + TCP_AT_DESTINATION_PORT) : ANY_PORT;
  if (problem === null || profile.unreadableForOthers === 'pass') {
    const passed = passIfNotServed(reading, ip, ip.protocol, port);
    if (passed !== null) return passed;
  }
  if (problem !== null) {
    tell(reading, `The ${protocolName(ip.protocol)} header cannot be read`, problem);
    return unreadable(reading, 'drop_malformed_transport');
  }
  const { source: client, destination: vip } = addressesOf(ip);
  const clientPort = data.getUint16(ip.transport + TCP_AT_SOURCE_PORT);
  // What nobody looked at may lie beyond the packet's end.
  const hasFlags = ip.protocol === IP_PROTOCOL_TCP && profile.transportChecked !== 'ports';
  return {
    version: ip.version,
    protocol: ip.protocol,
    client,
    vip,
    clientPort,
    vipPort: port,
    tcpFlags: hasFlags ? data.getUint8(ip.transport + TCP_AT_FLAGS) : 0,
    sequence: hasFlags ? data.getUint32(ip.transport + TCP_AT_SEQUENCE) : 0,
    quoted: false,
    hint: clientPort,
    length: ip.length,
  };
}

/** What is wrong with the transport header, null when nothing is. */
function transportProblem({ profile, data }: ForwardReading, ip: IpReading): string | null {
  const room = ip.end - ip.transport;
  const least = leastOf(profile.transportChecked, ip.protocol);
  if (room < least) return `${Math.max(0, room)} bytes are left for it, and it has ${least}`;
  if (profile.transportChecked !== 'whole' || ip.protocol !== IP_PROTOCOL_TCP) return null;
  const headerLength = (data.getUint8(ip.transport + TCP_AT_DATA_OFFSET) >>> 4) << 2;
  if (headerLength >= TCP_HEADER && headerLength <= room) return null;
  return `by its data offset it has ${headerLength} bytes, and ${room} are left for it`;
}

function fromTo(data: DataView, ip: IpReading): string {
  const { source, destination } = addressesOf(ip);
  const [from, to] = [source, destination].map((offset) => formatAddress(data, ip.version, offset));
  return `its header says so: ${ip.length} bytes from ${from} to ${to}`;
}
