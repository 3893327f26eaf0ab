import { IP_PROTOCOL_TCP } from '../../wire/ip.js';
import { TCP_HEADER } from '../../wire/tcp.js';
import { UDP_HEADER } from '../../wire/udp.js';
import type { ForwardReason } from './forward-reason.js';
import { addressesOf } from './inner-ip.js';
import { type IpReading, protocolName } from './profiled-forwarder-ip.js';
import { type ForwardReading, formatAddress, tell } from './profiled-forwarder-reading.js';
import { ANY_PORT } from './reading.js';

/** Whom a packet is for, and how much of it must be there to tell. */

/** Source and destination port. */
export const PORTS = 4;

/** How many bytes of a transport header must be there before its ports are believed. */
export function leastOf(part: 'whole' | 'fixed-part' | 'ports', protocol: number): number {
  if (part === 'ports') return PORTS;
  return protocol === IP_PROTOCOL_TCP ? TCP_HEADER : UDP_HEADER;
}

/** Notes whom a destination belongs to. @returns how the packet ends when that is nobody, else null */
export function passIfNotServed(
  reading: ForwardReading,
  ip: IpReading,
  protocol: number,
  port: number,
): ForwardReason | null {
  const { site, data } = reading;
  const { destination } = addressesOf(ip);
  const match = site.serviceOf(ip.version, data, destination, protocol, port);
  const address = formatAddress(data, ip.version, destination);
  if (match === 'not-vip') {
    tell(reading, 'The packet is left to the kernel', `${address} is no VIP`);
    return 'pass_not_vip';
  }
  if (match === 'no-service') {
    const what = `${protocolName(protocol)}${port === ANY_PORT ? '' : ` port ${port}`}`;
    tell(reading, 'The packet is left to the kernel', `${address} is a VIP, but nothing there has ${what}`);
    return 'pass_no_service';
  }
  reading.service = match;
  const where = port === ANY_PORT ? address : `${address}, port ${port}`;
  tell(reading, `The packet is for ${match.name}`, `that serves ${where}`);
  return null;
}
