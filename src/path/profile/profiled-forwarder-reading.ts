import { formatIpv4, formatIpv6 } from '../../wire/address.js';
import type { ForwardReason } from './forward-reason.js';
import type { ForwarderProfile } from './forwarder-profile.js';
import type { ForwarderService, ForwarderSite } from './forwarder-site.js';
import { protocolName } from './profiled-forwarder-ip.js';

/** What the parts of the model hand to one another. */

/** One thing that was looked at. */
export interface ForwardStep {
  /** What was decided or found. */
  readonly what: string;
  /** What it follows from. */
  readonly because: string;
}

export interface ForwardReading {
  readonly profile: ForwarderProfile;
  readonly site: ForwarderSite;
  /** The packet as it came, from its IP header to the last byte present. */
  readonly packet: Uint8Array;
  readonly data: DataView;
  /** What the link layer says it is, null where there is none. */
  readonly announced: 4 | 6 | null;
  readonly steps: ForwardStep[];
  /** Whom the packet is for, null while that is not known. */
  service: ForwarderService | null;
}

/** The flow of a packet, always as the client's packets show it. */
export interface ForwardFlow {
  readonly version: 4 | 6;
  /** Transport protocol of the flow, not of the ICMP error that quotes it. */
  readonly protocol: number;
  /** Where the addresses of client and VIP start in the packet (4 or 16 bytes). */
  readonly client: number;
  readonly vip: number;
  /** 0 where there are none. */
  readonly clientPort: number;
  readonly vipPort: number;
  /** 0 for everything but whole TCP packets. */
  readonly tcpFlags: number;
  /** TCP sequence number, 0 where `tcpFlags` is. */
  readonly sequence: number;
  /** The flow was quoted by an ICMP error. */
  readonly quoted: boolean;
  /** 16 bits that spread flows where their hash alone would not. */
  readonly hint: number;
  /** Length of the packet by its own header. */
  readonly length: number;
}

/** Where the port is not known, or there is none. */
export const ANY_PORT = -1;

export function tell({ steps }: ForwardReading, what: string, because: string): void {
  steps.push({ what, because });
}

/** What becomes of headers that cannot be read. */
export function unreadable({ profile }: ForwardReading, reason: ForwardReason): ForwardReason {
  return profile.unreadable === 'pass' ? 'pass_unreadable' : reason;
}

export function formatAddress(data: DataView, version: 4 | 6, offset: number): string {
  return version === 4 ? formatIpv4(data.getUint32(offset)) : formatIpv6(data, offset);
}

/** `TCP 198.51.100.7:40000 to 192.0.2.10:80` */
export function describeFlow(data: DataView, flow: ForwardFlow): string {
  const end = (address: number, port: number): string => {
    const text = formatAddress(data, flow.version, address);
    return flow.version === 4 ? `${text}:${port}` : `[${text}]:${port}`;
  };
  const { protocol, client, clientPort, vip, vipPort } = flow;
  return `${protocolName(protocol)} ${end(client, clientPort)} to ${end(vip, vipPort)}`;
}
