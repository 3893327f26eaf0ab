import { IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { UDP_HEADER } from '../../wire/udp.js';
import { transportChecksumNote } from './checksum-note.js';
import { endByLength } from './ip.js';
import { bytesText, hex16, type Kind, type LayerReader, type Step } from './layer-reader.js';

/** UDP (RFC 768). */
export function dissectUdp(layer: LayerReader): Step {
  const sourcePort = layer.number('Source Port', 2);
  const destinationPort = layer.number('Destination Port', 2);
  if (!layer.short) layer.summary = `${sourcePort} > ${destinationPort}`;
  const length = layer.number('Length', 2, String, bytesText);
  layer.number('Checksum', 2, hex16, (value) => transportChecksumNote(layer, IP_PROTOCOL_UDP, value));
  if (layer.short) return layer.cutHeader(UDP_HEADER);
  if (length < UDP_HEADER) {
    layer.problem(`length says ${bytesText(length)}, less than the header`);
    return layer.carries('payload');
  }
  layer.summary += ` length ${length - UDP_HEADER}`;
  const { end, cut } = endByLength(layer, layer.start + length, `length says ${bytesText(length)}`);
  return { ...layer.carries(payloadKind(layer, destinationPort), end), cut };
}

/** What the datagram carries, by its port. */
function payloadKind(layer: LayerReader, destinationPort: number): Kind {
  return layer.place.knowledge.guePorts.has(destinationPort) ? 'gue' : 'payload';
}
