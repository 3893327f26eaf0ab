import type { LayerReader, Step } from './layer-reader.js';
import { bytesText } from './text.js';

/** Bytes that nothing here reads. */
export function dissectPayload(layer: LayerReader): Step {
  const { name } = layer.place;
  if (name !== '') layer.protocol = name;
  const length = layer.left;
  layer.summary = bytesText(length);
  layer.text('Data', length, (data, at) => preview(data, at, length), bytesText(length));
  return layer.carries('payload');
}

/** Bytes behind the end that the header before them gave, such as Ethernet's padding to 60 bytes. */
export function dissectTrailer(layer: LayerReader): Step {
  const length = layer.left;
  let zeros = true;
  for (let at = layer.at; at < layer.limit && zeros; at++) zeros = layer.data.getUint8(at) === 0;
  layer.summary = `${bytesText(length)}${zeros ? ' of padding' : ''}`;
  layer.text(zeros ? 'Padding' : 'Data', length, (data, at) => preview(data, at, length), bytesText(length));
  return layer.carries('payload');
}

const PREVIEW_BYTES = 32;

/** The first bytes as ASCII, a dot for each that cannot be printed. */
function preview(data: DataView, offset: number, length: number): string {
  let text = '';
  for (let i = 0; i < Math.min(length, PREVIEW_BYTES); i++) {
    const byte = data.getUint8(offset + i);
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
  }
  return length > PREVIEW_BYTES ? `${text}…` : text;
}
