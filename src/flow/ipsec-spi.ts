import { IP_PROTOCOL_ESP, IP_PROTOCOL_UDP, type IpPacket } from '../wire/ip.js';
import { UDP_HEADER } from '../wire/udp.js';
import { DISSECT_DROP, DISSECT_FALLBACK, type DissectorType, type FlowDissector } from './dissector.js';
import type { Flow } from './flow.js';
import type { FlowKey } from './flow-key.js';

/**
 * IPsec: the security parameters index (SPI) of ESP, which the server chose, names the security association, over IP
 * (protocol 50) and over UDP port 4500 (NAT traversal) alike. IKE, on ports 500 and 4500, is named by the initiator's
 * SPI, which stays the same from the first message on.
 *
 * ```
 * ESP           SPI (32)  | sequence number ...
 * over UDP 4500 SPI (32, not 0) | ...        four zero bytes instead: IKE follows; one byte 0xff: a NAT keepalive
 * IKE           initiator's SPI (64) | responder's SPI (64) | ...
 * ```
 *
 * SPI and IKE hash to different buckets unless the server chooses its SPIs so that they fall into its own.
 *
 * Sources: RFC 4303 section 2 (ESP), RFC 3948 section 2 (ESP in UDP, keepalives), RFC 7296 section 3.1 (IKE header).
 */

const DROPS = ['truncated', 'reserved_spi'] as const;
const TRUNCATED = DISSECT_DROP;
const RESERVED_SPI = DISSECT_DROP - 1;

/** 1 to 255 are reserved (RFC 4303 section 2.1). Little-endian, as the word is read: only its last byte may differ from 0. */
const RESERVED_MASK = 0x00ffffff;
const NAT_TRAVERSAL_PORT = 4500;
const SPI_LENGTH = 4;
const IKE_SPI_LENGTH = 8;
const FALLBACK = DISSECT_FALLBACK;
const ESP = IP_PROTOCOL_ESP;
const UDP = IP_PROTOCOL_UDP;

class IpsecSpi implements FlowDissector {
  readonly name = 'ipsec-spi';
  readonly drops = DROPS;

  dissect(packet: IpPacket, flow: Flow, key: FlowKey): number {
    const { data, end, transport, protocol } = packet;
    if (protocol === ESP) return espKey(data, transport, end, key);
    if (protocol !== UDP) return FALLBACK;
    const payload = transport + UDP_HEADER;
    if (flow.destinationPort !== NAT_TRAVERSAL_PORT) return ikeKey(data, payload, end, key);
    // A keepalive holds the NAT open, for no association in particular.
    if (payload + 1 === end) return FALLBACK;
    if (payload + SPI_LENGTH > end) return TRUNCATED;
    return data.getInt32(payload) === 0
      ? ikeKey(data, payload + SPI_LENGTH, end, key)
      : espKey(data, payload, end, key);
  }
}

function espKey(data: DataView, at: number, end: number, key: FlowKey): number {
  if (at + SPI_LENGTH > end) return TRUNCATED;
  const spi = data.getInt32(at, true);
  if ((spi & RESERVED_MASK) === 0) return RESERVED_SPI;
  key.words[0] = spi;
  key.length = SPI_LENGTH;
  return SPI_LENGTH;
}

function ikeKey(data: DataView, at: number, end: number, key: FlowKey): number {
  if (at + IKE_SPI_LENGTH > end) return TRUNCATED;
  key.words[0] = data.getInt32(at, true);
  key.words[1] = data.getInt32(at + 4, true);
  key.length = IKE_SPI_LENGTH;
  return IKE_SPI_LENGTH;
}

export const ipsecSpi: DissectorType = {
  name: 'ipsec-spi',
  protocols: [UDP, ESP],
  create: () => new IpsecSpi(),
};
