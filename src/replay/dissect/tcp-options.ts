import { headerOptions, OPTION_END, OPTION_NOP } from '../../wire/options.js';
import type { LayerReader } from './layer-reader.js';
import { bytesText, hexOf } from './text.js';

/** TCP options (RFC 9293 section 3.2; RFC 7323, 2018, 7413, 8684; IANA "TCP Option Kind Numbers"). */

interface Option {
  readonly name: string;
  /** Whole option in bytes, where every one has the same. */
  readonly length?: number;
  readonly show?: (data: DataView, at: number, length: number) => string;
}

const OPTIONS: ReadonlyMap<number, Option> = new Map<number, Option>([
  [OPTION_END, { name: 'End of Option List' }],
  [OPTION_NOP, { name: 'No-Operation' }],
  [2, { name: 'Maximum Segment Size', length: 4, show: (data, at) => bytesText(data.getUint16(at + 2)) }],
  [3, { name: 'Window Scale', length: 3, show: windowScale }],
  [4, { name: 'SACK Permitted', length: 2, show: () => 'yes' }],
  [5, { name: 'SACK', show: sackBlocks }],
  [8, { name: 'Timestamps', length: 10, show: timestamps }],
  [19, { name: 'MD5 Signature' }],
  [28, { name: 'User Timeout', length: 4 }],
  [29, { name: 'TCP-AO' }],
  [30, { name: 'Multipath TCP' }],
  [34, { name: 'Fast Open Cookie' }],
]);

export function readTcpOptions(layer: LayerReader, end: number): void {
  const limit = Math.min(end, layer.limit);
  for (const { type, offset, length } of headerOptions(layer.data, layer.at, limit)) {
    const option = OPTIONS.get(type) ?? { name: `Kind ${type}` };
    const name = `Option: ${option.name}`;
    if (length === 0) {
      if (end <= layer.limit) layer.problem(`the length of option ${type} is wrong`);
      layer.bytes(name, limit - offset, 'its length is wrong');
      return;
    }
    const fits = option.length === undefined || option.length === length;
    const show = fits ? (option.show ?? hexOf) : hexOf;
    layer.text(name, length, (data, at) => show(data, at, length), fits ? undefined : 'its length is wrong');
  }
  layer.bytes('Padding', limit - layer.at);
  // What is announced and not here.
  if (end > layer.limit) layer.bytes('Options', end - layer.at);
}

function windowScale(data: DataView, at: number): string {
  const shift = data.getUint8(at + 2);
  return `${shift} (window x ${2 ** Math.min(shift, 14)})`;
}

function sackBlocks(data: DataView, at: number, length: number): string {
  const blocks: string[] = [];
  for (let block = at + 2; block + 8 <= at + length; block += 8) {
    blocks.push(`${data.getUint32(block)}-${data.getUint32(block + 4)}`);
  }
  return blocks.join(', ') || 'no blocks';
}

function timestamps(data: DataView, at: number): string {
  return `value ${data.getUint32(at + 2)}, echo reply ${data.getUint32(at + 6)}`;
}
