import { checksum } from '../../wire/checksum.js';
import { GRE_CHECKSUM_PRESENT, GRE_HEADER, GRE_KEY_PRESENT, GRE_SEQUENCE_PRESENT } from '../../wire/gre.js';
import { wrongChecksum } from './checksum-note.js';
import type { LayerReader, Step } from './layer-reader.js';
import { ethertypeKind, ethertypeName } from './protocols.js';
import { hex16, hex32 } from './text.js';

/** GRE (RFC 2784) with key and sequence number (RFC 2890). */

/** Bits 1, 4 and 5, of which only RFC 1701 knew what they do. */
const ROUTING_PRESENT = 0x4000;
const RESERVED = 0x0c00;
const VERSION = 0x0007;

export function dissectGre(layer: LayerReader): Step {
  const flags = layer.packed(2, (value) => [
    ['C', value & GRE_CHECKSUM_PRESENT ? '1' : '0', 'checksum present'],
    ['R', value & ROUTING_PRESENT ? '1' : '0', value & ROUTING_PRESENT ? 'must be 0' : undefined],
    ['K', value & GRE_KEY_PRESENT ? '1' : '0', 'key present'],
    ['S', value & GRE_SEQUENCE_PRESENT ? '1' : '0', 'sequence number present'],
    ['Reserved0', String((value >>> 3) & 0x1ff)],
    ['Ver', String(value & VERSION)],
  ]);
  const type = layer.number('Protocol Type', 2, hex16, ethertypeName);
  if (layer.short) return layer.cutHeader(GRE_HEADER);
  if (flags & VERSION) {
    layer.problem(`version ${flags & VERSION} is not read here`);
    return layer.carries('payload');
  }
  if (flags & (ROUTING_PRESENT | RESERVED)) {
    layer.problem('reserved bits are set: where the payload starts is not known');
    return layer.carries('payload');
  }
  if (flags & GRE_CHECKSUM_PRESENT) {
    layer.number('Checksum', 2, hex16, (value) => checksumNote(layer, value));
    layer.number('Reserved1', 2);
  }
  if (flags & GRE_KEY_PRESENT) layer.summary = `key ${hex32(layer.number('Key', 4, hex32))}`;
  if (flags & GRE_SEQUENCE_PRESENT) {
    layer.summary = `${layer.summary} seq ${layer.number('Sequence Number', 4)}`.trim();
  }
  if (layer.short) return layer.cutHeader(GRE_HEADER);
  return layer.carries(ethertypeKind(type), layer.limit, ethertypeName(type));
}

function checksumNote(layer: LayerReader, stored: number): string {
  const { data, start, limit } = layer;
  if (layer.place.missing > 0) return 'not checked: bytes are missing';
  if (checksum(data, start, limit - start) === 0) return 'correct';
  return wrongChecksum(layer, hex16(checksum(data, start, limit - start, ~stored & 0xffff)));
}
