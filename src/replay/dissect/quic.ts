import {
  isQuicLong,
  QUIC_AT_VERSION,
  QUIC_MAX_CID,
  QUIC_RETRY_TAG,
  QUIC_TYPE_NAMES,
  QUIC_V1,
  QUIC_V2,
  QUIC_VERSION_NEGOTIATION,
  QuicLongView,
  QuicType,
  quicType,
  quicVarint,
  quicVarintSize,
} from '../../wire/quic.js';
import { Reason } from '../../wire/reason.js';
import type { LayerReader, Step } from './layer-reader.js';
import { bytesText, hex32, hexOf, inBytes } from './text.js';

/** QUIC headers as far as they can be read without keys: see `wire/quic.ts`. */

const view = new QuicLongView();

/** Does this datagram start with a long header of a version that is known, or that stands for none? */
export function isQuicLongHeader(data: DataView, start: number, limit: number): boolean {
  return view.attach(data, start, limit) === Reason.Ok && versionText(view.version) !== undefined;
}

/** Undefined for a version that nobody here has heard of. */
function versionText(version: number): string | undefined {
  if (version === QUIC_V1) return 'v1';
  if (version === QUIC_V2) return 'v2';
  if (version === QUIC_VERSION_NEGOTIATION) return 'none';
  if ((version & 0xffffff00) >>> 0 === 0xff000000) return `draft-${version & 0xff}`;
  // Reserved to exercise version negotiation (RFC 9000 section 15).
  if ((version & 0x0f0f0f0f) === 0x0a0a0a0a) return 'reserved';
  return undefined;
}

export function dissectQuic(layer: LayerReader): Step {
  const first = layer.data.getUint8(layer.start);
  return isQuicLong(first) ? dissectLong(layer) : dissectShort(layer);
}

function dissectLong(layer: LayerReader): Step {
  const { data, start, limit } = layer;
  const version = limit - start >= 5 ? data.getUint32(start + QUIC_AT_VERSION) : QUIC_VERSION_NEGOTIATION;
  const type = quicType(version, data.getUint8(start));
  const isNumbered = type <= QuicType.Retry;
  layer.packed(1, (value) => [
    ['Header Form', String(value >>> 7), 'long'],
    ['Fixed Bit', String((value >>> 6) & 1)],
    ['Long Packet Type', String((value >>> 4) & 3), isNumbered ? QUIC_TYPE_NAMES[type] : undefined],
    [
      'Type-Specific Bits',
      String(value & 0xf),
      isNumbered && type !== QuicType.Retry ? 'protected' : undefined,
    ],
  ]);
  layer.number('Version', 4, hex32, (value) => versionText(value) ?? 'not known here');
  const dcid = readConnectionId(layer, 'Destination', isNumbered);
  const scid = readConnectionId(layer, 'Source', isNumbered);
  if (layer.short) return layer.cutHeader(7);
  layer.summary = `${longName(type, version)} dcid ${dcid} scid ${scid}`;
  switch (type) {
    case QuicType.VersionNegotiation:
      while (layer.left > 0 && !layer.short) {
        layer.number('Supported Version', 4, hex32, (value) => versionText(value));
      }
      break;
    case QuicType.Unknown:
      layer.bytes('Version-Specific Data', layer.left);
      break;
    case QuicType.Retry:
      layer.bytes('Retry Token', layer.left - QUIC_RETRY_TAG);
      layer.bytes('Retry Integrity Tag', QUIC_RETRY_TAG);
      break;
    default:
      return readNumbered(layer, type);
  }
  return layer.short ? layer.cutHeader(7) : layer.carries('payload');
}

function longName(type: QuicType, version: number): string {
  if (type === QuicType.VersionNegotiation) return 'version negotiation';
  const name = versionText(version) ?? hex32(version);
  return type === QuicType.Unknown ? `long header ${name}` : `${QUIC_TYPE_NAMES[type]} ${name}`;
}

/** @returns it in hexadecimal, `-` for an empty one */
function readConnectionId(layer: LayerReader, whose: string, limited: boolean): string {
  const length = layer.number(`${whose} Connection ID Length`, 1, String, inBytes);
  if (limited && length > QUIC_MAX_CID) {
    layer.problem(`a ${whose.toLowerCase()} connection ID of ${length} bytes: this version has at most 20`);
  }
  if (length === 0) return '-';
  return layer.text(`${whose} Connection ID`, length, (data, at) => hexOf(data, at, length));
}

/** Initial, 0-RTT and Handshake: their length tells where the next packet of the datagram starts. */
function readNumbered(layer: LayerReader, type: QuicType): Step {
  if (type === QuicType.Initial) {
    const tokenLength = readVarint(layer, 'Token Length');
    layer.bytes('Token', tokenLength);
    if (tokenLength > 0) layer.summary += ` token ${bytesText(tokenLength)}`;
  }
  const length = readVarint(layer, 'Length');
  if (layer.short) return layer.cutHeader(7);
  layer.summary += ` length ${length}`;
  const { limit } = layer;
  const end = layer.at + length;
  if (end > limit + layer.place.missing)
    layer.problem(`length says ${bytesText(length)}, ${layer.announced} are there`);
  layer.bytes('Packet Number and Payload', Math.min(length, layer.left), 'protected');
  if (end >= limit) return layer.carries('payload');
  // Behind the packets some senders fill the datagram with zeros; no header starts with two zero bits but on purpose.
  const another = layer.data.getUint8(end) >= 0x40;
  const step = layer.carries('payload', end);
  return another ? { ...step, behind: 'quic' } : step;
}

function readVarint(layer: LayerReader, name: string): number {
  if (layer.short) return 0;
  const size = quicVarintSize(layer.data, layer.at, layer.limit);
  if (size === 0) {
    // More than there is: so it is cut short.
    layer.bytes(name, layer.left + 1);
    return 0;
  }
  const value = quicVarint(layer.data, layer.at);
  layer.text(name, size, () => String(value), 'bytes');
  return value;
}

function dissectShort(layer: LayerReader): Step {
  layer.packed(1, (value) => [
    ['Header Form', '0', 'short'],
    ['Fixed Bit', String((value >>> 6) & 1)],
    ['Spin Bit', String((value >>> 5) & 1)],
    ['Reserved Bits, Key Phase, Packet Number Length', String(value & 0x1f), 'protected'],
  ]);
  const length = layer.place.knowledge.quicCidLength;
  if (length < 0) {
    layer.summary = `short header length ${layer.announced}`;
    const note = 'how long the connection ID is, only its receiver knows';
    layer.bytes('Destination Connection ID and what follows', layer.left, note);
    return layer.carries('payload');
  }
  let dcid = '-';
  if (length > 0) {
    dcid = layer.text('Destination Connection ID', length, (data, at) => hexOf(data, at, length));
  }
  if (layer.short) return layer.cutHeader(1 + length);
  layer.summary = `short header dcid ${dcid} length ${layer.announced}`;
  layer.bytes('Packet Number and Payload', layer.left, 'protected');
  return layer.carries('payload');
}
