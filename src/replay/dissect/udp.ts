import { IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { UDP_HEADER } from '../../wire/udp.js';
import { transportChecksumNote } from './checksum-note.js';
import { endByLength } from './ip.js';
import type { Kind, LayerReader, Step } from './layer-reader.js';
import { isQuicLongHeader } from './quic.js';
import { bytesText, hex16, inBytes } from './text.js';
import { hasClientid, isWireguard } from './wireguard.js';

/** UDP (RFC 768). */
export function dissectUdp(layer: LayerReader): Step {
  const sourcePort = layer.number('Source Port', 2);
  const destinationPort = layer.number('Destination Port', 2);
  if (!layer.short) layer.summary = `${sourcePort} > ${destinationPort}`;
  const length = layer.number('Length', 2, String, inBytes);
  layer.number('Checksum', 2, hex16, (value) => transportChecksumNote(layer, IP_PROTOCOL_UDP, value));
  if (layer.short) return layer.cutHeader(UDP_HEADER);
  if (length < UDP_HEADER) {
    layer.problem(`length says ${bytesText(length)}, less than the header`);
    return layer.carries('payload');
  }
  layer.summary += ` length ${length - UDP_HEADER}`;
  const { end, missing } = endByLength(layer, layer.start + length, `length says ${bytesText(length)}`);
  const kind = payloadKind(layer, end, missing, [sourcePort, destinationPort]);
  return { ...layer.carries(kind, end), missing };
}

/** IANA's for HTTP/3: what goes there and is not WireGuard is taken for QUIC. */
const HTTPS_PORT = 443;

/** A short header, a packet number and a tag: nobody sends less (RFC 9000 section 10.3). */
const LEAST_QUIC_PACKET = 21;

/** What the datagram carries, by its port or by how it looks. */
function payloadKind(
  layer: LayerReader,
  end: number,
  missing: number,
  ports: readonly [source: number, destination: number],
): Kind {
  const { data, at: start, place } = layer;
  if (place.knowledge.guePorts.includes(ports[1])) return 'gue';
  const isHttps = ports.includes(HTTPS_PORT);
  // A short header may look like anything, but hardly like three reserved bytes of zero.
  if (isWireguard(data, start, end, missing) && !(isHttps && hasClientid(data, start))) return 'wireguard';
  if (isQuicLongHeader(data, start, end)) return 'quic';
  return isHttps && end - start + missing >= LEAST_QUIC_PACKET ? 'quic' : 'payload';
}
