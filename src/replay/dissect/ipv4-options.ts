import { formatIpv4 } from '../../wire/address.js';
import { headerOptions, OPTION_END, OPTION_NOP } from '../../wire/options.js';
import type { LayerReader } from './layer-reader.js';
import { hexOf } from './text.js';

/** IPv4 options (RFC 791 section 3.1; IANA "IP Option Numbers"). */

const NAMES: ReadonlyMap<number, string> = new Map([
  [OPTION_END, 'End of Options'],
  [OPTION_NOP, 'No Operation'],
  [7, 'Record Route'],
  [68, 'Internet Timestamp'],
  [130, 'Security'],
  [131, 'Loose Source and Record Route'],
  [136, 'Stream Identifier'],
  [137, 'Strict Source and Record Route'],
  [148, 'Router Alert'],
]);

/** Options that are a pointer and a list of addresses. */
const ROUTES: ReadonlySet<number> = new Set([7, 131, 137]);

export function readIpv4Options(layer: LayerReader, end: number): void {
  const limit = Math.min(end, layer.limit);
  for (const { type, offset, length } of headerOptions(layer.data, layer.at, limit)) {
    const name = `Option: ${NAMES.get(type) ?? type}`;
    if (length === 0) {
      if (end <= layer.limit) layer.problem(`option ${type} is longer or shorter than there is room`);
      layer.bytes(name, limit - offset, 'its length is wrong');
      return;
    }
    layer.text(name, length, (data, at) => optionText(data, at, type, length));
  }
  layer.bytes('Padding', limit - layer.at);
  // What is announced and not here.
  if (end > layer.limit) layer.bytes('Options', end - layer.at);
}

function optionText(data: DataView, at: number, type: number, length: number): string {
  if (!ROUTES.has(type) || length < 3) return hexOf(data, at, length);
  const addresses: string[] = [];
  for (let hop = at + 3; hop + 4 <= at + length; hop += 4) addresses.push(formatIpv4(data.getUint32(hop)));
  return `pointer ${data.getUint8(at + 2)}: ${addresses.join(', ')}`;
}
