import type { RedirectTrace } from './redirect-trace.js';
import type { RedirectorProfile } from './redirector-profile.js';
import type { RedirectorSite } from './redirector-site.js';

/** What the parts of the model hand to one another. */
export interface Reading {
  readonly profile: RedirectorProfile;
  readonly site: RedirectorSite;
  /** The packet as it came, from its outer IPv4 header to the last byte present. */
  readonly data: DataView;
  readonly trace: RedirectTrace;
  /** Index of the trafficset, -1 while none is known. */
  trafficset: number;
  /** What the inner packet is of its datagram, where later fragments end as the first did. */
  fragment: 'none' | 'first' | 'later';
}

/** The flow of the inner packet, always as the client's packets show it. */
export interface InnerFlow {
  readonly version: 4 | 6;
  /** 6 (TCP), 17 (UDP) or 50 (ESP); ports are 0 for ESP. */
  readonly protocol: number;
  /** Where the addresses of client and VIP start (4 or 16 bytes). */
  readonly client: number;
  readonly vip: number;
  readonly clientPort: number;
  readonly vipPort: number;
  /** 0 for UDP and for quoted packets. */
  readonly tcpFlags: number;
  /** TCP sequence number, 0 where `tcpFlags` is. */
  readonly sequence: number;
  /** The flow was quoted by an ICMP error. */
  readonly quoted: boolean;
}

/** Where the port is not known, or there is none. */
export const ANY_PORT = -1;
