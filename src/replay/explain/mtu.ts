import { gueOverhead } from '../../wire/gue.js';
import { IPV4_HEADER } from '../../wire/ipv4.js';
import { IPV6_HEADER } from '../../wire/ipv6.js';
import { TCP_HEADER } from '../../wire/tcp.js';

/** What wrapping does to packet sizes, all in bytes. */
export interface MtuArithmetic {
  /** Added by the wrapper: outer IPv4 20, UDP 8, GUE 4, private data 4, and 4 per hop. */
  readonly overhead: number;
  /** This packet, and how it leaves. */
  readonly inner: number;
  readonly outer: number;
  readonly underlayMtu: number;
  readonly fits: boolean;
  /** The largest packet that the underlay carries wrapped, and the TCP segment size that keeps to it. */
  readonly largestInner: number;
  readonly largestMss: number;
  /** What a full Ethernet packet of 1500 bytes leaves as: the underlay that clients with an MTU of 1500 need. */
  readonly fullPacketLeavesAs: number;
}

const ETHERNET_MTU = 1500;

/** @param hops in the wrapper's list, 0 or 1 from the forwarder */
export function mtuArithmetic(
  inner: number,
  version: number,
  hops: number,
  underlayMtu: number,
): MtuArithmetic {
  const overhead = gueOverhead(hops);
  const largestInner = underlayMtu - overhead;
  return {
    overhead,
    inner,
    outer: inner + overhead,
    underlayMtu,
    fits: inner + overhead <= underlayMtu,
    largestInner,
    largestMss: largestInner - (version === 4 ? IPV4_HEADER : IPV6_HEADER) - TCP_HEADER,
    fullPacketLeavesAs: ETHERNET_MTU + overhead,
  };
}
