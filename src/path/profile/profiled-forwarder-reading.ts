import { formatIpv4, formatIpv6 } from '../../wire/address.js';
import type { ForwardReason } from './forward-reason.js';
import type { ForwarderProfile } from './forwarder-profile.js';
import type { ForwarderService, ForwarderSite } from './forwarder-site.js';
import { protocolName } from './profiled-forwarder-ip.js';
import type { InnerFlow } from './reading.js';
import type { RedirectStep } from './redirect-trace.js';

/** What the parts of the model hand to one another. */

export interface ForwardReading {
  readonly profile: ForwarderProfile;
  readonly site: ForwarderSite;
  /** The packet as it came, from its IP header to the last byte present. */
  readonly packet: Uint8Array;
  readonly data: DataView;
  /** What the link layer says it is, null where there is none. */
  readonly announced: 4 | 6 | null;
  readonly steps: RedirectStep[];
  /** Whom the packet is for, null while that is not known. */
  service: ForwarderService | null;
  /** What the packet is of its datagram, where later fragments follow the first. */
  fragment: 'none' | 'first' | 'later';
}

/** The flow of a packet; ports are 0 where there are none. */
export interface ForwardFlow extends InnerFlow {
  /** 16 bits that spread flows where their hash alone would not. */
  readonly hint: number;
  /** Length of the packet by its own header. */
  readonly length: number;
}

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
