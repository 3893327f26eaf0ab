import { TUPLE_SIZE } from '../../src/path/sockets.js';
import type { PathConfig } from '../../src/path/state.js';
import { ForwardingTable } from '../../src/table/forwarding-table.js';
import type { SharedVips } from '../../src/table/vip-matcher.js';
import type { ListedSocket } from './socket-set.js';

/**
 * The configuration of a path as the native twin reads it (native/state.c): little-endian 32-bit words; an array is
 * its number of elements and then the elements, padded to a word.
 */

const MAGIC = 0x32687774; // "twh2"

export function encodeBlob(config: PathConfig, sockets: readonly ListedSocket[]): Uint32Array {
  const writer = new WordWriter();
  writer.words(MAGIC, config.dip, config.port, config.underlayMtu);
  writer.array(config.underlayPrefixes);
  writeVips(writer, config.vips);
  writer.words(config.trafficsets.length);
  for (const { kind, table } of config.trafficsets) {
    const twoSlots = kind === 'request-response' ? 0 : 1;
    if (table === null) {
      writer.words(twoSlots, 0, 0, 0);
      writer.array(new Uint32Array(0));
    } else {
      const { key0, key1, mask, slots } = ForwardingTable.fromShared(table);
      writer.words(twoSlots, key0, key1, mask);
      writer.array(slots);
    }
  }
  writeSockets(writer, sockets);
  return writer.finish();
}

function writeVips(writer: WordWriter, { ipv4, ipv6, services }: SharedVips): void {
  for (const family of [ipv4, ipv6]) {
    writer.words(family.low, family.span, family.shift);
    writer.array(family.starts);
    writer.array(family.services);
    writer.array(family.cells);
  }
  writer.words(...ipv6.stem.words, ...ipv6.stem.masks, ipv6.stem.length);
  writer.array(services.firstSegment);
  writer.array(services.segmentStart);
  writer.array(services.segmentTrafficset);
  writer.array(services.anyPort);
}

/** Ten words each: the tuple, then version and protocol. */
function writeSockets(writer: WordWriter, sockets: readonly ListedSocket[]): void {
  const words = new Uint32Array((TUPLE_SIZE / 4 + 1) * sockets.length);
  const bytes = new Uint8Array(words.buffer);
  for (const [index, { version, protocol, tuple }] of sockets.entries()) {
    const at = index * (TUPLE_SIZE + 4);
    bytes.set(tuple, at);
    words[(at + TUPLE_SIZE) / 4] = (version << 8) | protocol;
  }
  writer.array(words);
}

class WordWriter {
  private readonly chunks: Uint32Array[] = [];

  words(...values: readonly number[]): void {
    this.chunks.push(Uint32Array.from(values));
  }

  array(values: Uint32Array | Int32Array | Uint16Array): void {
    const words = new Uint32Array(1 + Math.ceil(values.byteLength / 4));
    words[0] = values.length;
    new Uint8Array(words.buffer, 4).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    this.chunks.push(words);
  }

  finish(): Uint32Array {
    const all = new Uint32Array(this.chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}
