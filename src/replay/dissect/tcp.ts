import { IP_PROTOCOL_TCP } from '../../wire/ip.js';
import { TCP_ACK, TCP_HEADER } from '../../wire/tcp.js';
import { transportChecksumNote } from './checksum-note.js';
import type { LayerReader, Step } from './layer-reader.js';
import { readTcpOptions } from './tcp-options.js';
import { bytesText, hex16, inBytes } from './text.js';

/** From the lowest bit on (RFC 9293 section 3.1; AE: RFC 9768). */
const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR', 'AE'];

/** TCP (RFC 9293 section 3.1). */
export function dissectTcp(layer: LayerReader): Step {
  const sourcePort = layer.number('Source Port', 2);
  const destinationPort = layer.number('Destination Port', 2);
  if (!layer.short) layer.summary = `${sourcePort} > ${destinationPort}`;
  const sequence = layer.number('Sequence Number', 4);
  const acknowledgment = layer.number('Acknowledgment Number', 4);
  const offsetAndFlags = layer.packed(2, (value) => [
    ['Data Offset', String(value >>> 12), bytesText((value >>> 12) << 2)],
    ['Reserved', String((value >>> 9) & 7)],
    ['Flags', flagsText(value)],
  ]);
  const window = layer.number('Window', 2, String, inBytes);
  layer.number('Checksum', 2, hex16, (value) => transportChecksumNote(layer, IP_PROTOCOL_TCP, value));
  layer.number('Urgent Pointer', 2);
  if (layer.short) return layer.cutHeader(TCP_HEADER);

  layer.summary += ` ${flagsText(offsetAndFlags)} seq ${sequence}`;
  if (offsetAndFlags & TCP_ACK) layer.summary += ` ack ${acknowledgment}`;
  layer.summary += ` win ${window}`;
  const headerLength = (offsetAndFlags >>> 12) << 2;
  if (headerLength < TCP_HEADER) {
    layer.problem(`data offset says ${bytesText(headerLength)}, a header has at least ${TCP_HEADER}`);
    return layer.carries('payload');
  }
  readTcpOptions(layer, layer.start + headerLength);
  if (layer.short) return layer.cutHeader(headerLength);
  if (layer.announced > 0 && !layer.place.quoted) layer.summary += ` length ${layer.announced}`;
  return layer.carries('payload');
}

function flagsText(value: number): string {
  return FLAGS.filter((_, bit) => value & (1 << bit)).join(',') || 'no flags';
}
