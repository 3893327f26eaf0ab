import { IPV6_HEADER } from '../../wire/ipv6.js';
import { carriesProtocol, ecnText, endByLength, ipAround, wrongVersion } from './ip.js';
import type { LayerReader, Step } from './layer-reader.js';
import { protocolName } from './protocols.js';
import { bytesText, hexNumber, inBytes } from './text.js';

/** IPv6 (RFC 8200 section 3). Extension headers are layers of their own. */
export function dissectIpv6(layer: LayerReader): Step {
  if (layer.left > 0 && layer.data.getUint8(layer.start) >>> 4 !== 6) return wrongVersion(layer, 6);
  layer.packed(4, (value) => [
    ['Version', String(value >>> 28)],
    ['DSCP', String((value >>> 22) & 0x3f)],
    ['ECN', String((value >>> 20) & 3), ecnText(value >>> 20)],
    ['Flow Label', hexNumber(3)(value & 0xfffff).replace('0x0', '0x')],
  ]);
  const payloadLength = layer.number('Payload Length', 2, String, inBytes);
  const next = layer.number('Next Header', 1, String, protocolName);
  layer.number('Hop Limit', 1);
  const source = layer.ipv6Address('Source Address');
  const destination = layer.ipv6Address('Destination Address');
  if (layer.short) return layer.cutHeader(IPV6_HEADER);
  layer.summary = `${source} > ${destination}`;
  const said = `payload length says ${bytesText(IPV6_HEADER + payloadLength)} with the header`;
  const { end, missing } = endByLength(layer, layer.at + payloadLength, said);
  return { ...carriesProtocol(layer, next, 6, end), missing, ip: ipAround(layer.place, 6) };
}
