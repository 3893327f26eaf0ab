import { checksum } from '../../wire/checksum.js';
import { IPV4_HEADER } from '../../wire/ipv4.js';
import { wrongChecksum } from './checksum-note.js';
import { carriesProtocol, ecnText, endByLength, fragmentText, ipAround, wrongVersion } from './ip.js';
import { readIpv4Options } from './ipv4-options.js';
import type { LayerReader, Step } from './layer-reader.js';
import { protocolName } from './protocols.js';
import { bytesText, hex16, inBytes } from './text.js';

/** IPv4 (RFC 791), with TOS as DSCP and ECN (RFC 2474, RFC 3168). */
export function dissectIpv4(layer: LayerReader): Step {
  if (layer.left > 0 && layer.data.getUint8(layer.start) >>> 4 !== 4) return wrongVersion(layer, 4);
  const headerLength =
    (layer.packed(1, (value) => [
      ['Version', String(value >>> 4)],
      ['IHL', String(value & 0xf), bytesText((value & 0xf) << 2)],
    ]) &
      0xf) <<
    2;
  layer.packed(1, (value) => [
    ['DSCP', String(value >>> 2)],
    ['ECN', String(value & 3), ecnText(value)],
  ]);
  const totalLength = layer.number('Total Length', 2, String, inBytes);
  const id = layer.number('Identification', 2, hex16);
  const flags = layer.packed(2, (value) => [
    ['Flags', flagsText(value), value & 0x8000 ? 'the reserved bit is set' : undefined],
    [
      'Fragment Offset',
      String(value & 0x1fff),
      value & 0x1fff ? bytesText((value & 0x1fff) << 3) : undefined,
    ],
  ]);
  layer.number('Time to Live', 1);
  const protocol = layer.number('Protocol', 1, String, protocolName);
  layer.number('Header Checksum', 2, hex16, (value) => headerChecksumNote(layer, headerLength, value));
  const source = layer.ipv4Address('Source Address');
  const destination = layer.ipv4Address('Destination Address');
  if (layer.short) return layer.cutHeader(IPV4_HEADER);

  const isFragment = (flags & 0x3fff) !== 0;
  const offset = (flags & 0x1fff) << 3;
  layer.summary = `${source} > ${destination}`;
  if (isFragment) layer.summary += ` fragment ${fragmentText(id, 2, offset, (flags & 0x2000) !== 0)}`;
  if (headerLength < IPV4_HEADER) {
    layer.problem(`IHL says ${headerLength} bytes, a header has at least ${IPV4_HEADER}`);
    return layer.carries('payload');
  }
  readIpv4Options(layer, layer.start + headerLength);
  if (layer.short) return layer.cutHeader(headerLength);
  if (totalLength < headerLength) {
    layer.problem(`total length says ${bytesText(totalLength)}, less than the header`);
    return layer.carries('payload');
  }
  const said = `total length says ${bytesText(totalLength)}`;
  const { end, missing } = endByLength(layer, layer.start + totalLength, said);
  const ip = ipAround(layer.place, 4);
  if (offset !== 0) return { ...layer.carries('payload', end, protocolName(protocol)), missing, ip };
  // The rest of the datagram of a first fragment is in other packets.
  const step = carriesProtocol(layer, protocol, 4, end);
  return { ...step, missing: isFragment ? Infinity : missing, ip };
}

function flagsText(value: number): string {
  const names: string[] = [];
  if (value & 0x4000) names.push('DF');
  if (value & 0x2000) names.push('MF');
  return names.join(',') || 'none';
}

function headerChecksumNote(layer: LayerReader, headerLength: number, stored: number): string {
  const { data, start, left, at } = layer;
  if (headerLength < IPV4_HEADER) return 'not checked';
  if (headerLength > left + at - start) return 'not checked: bytes are missing';
  if (checksum(data, start, headerLength) === 0) return 'correct';
  // The sum without the stored checksum: its one's complement added takes it away.
  const right = checksum(data, start, headerLength, ~stored & 0xffff);
  return wrongChecksum(layer, hex16(right));
}
