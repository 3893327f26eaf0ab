import type { LayerReader, Step } from './layer-reader.js';
import { hex32 } from './text.js';

/** ESP as far as it is not encrypted (RFC 4303 section 2). */
export function dissectEsp(layer: LayerReader): Step {
  const spi = layer.number('Security Parameters Index', 4, hex32);
  const sequence = layer.number('Sequence Number', 4);
  if (layer.short) return layer.cutHeader(8);
  layer.summary = `spi ${hex32(spi)} seq ${sequence} length ${layer.announced}`;
  layer.bytes('Encrypted', layer.left);
  return layer.carries('payload');
}
