import type { Prefix } from '../../src/table/address.js';

/**
 * Packets of very many flows, each made when it is needed from the number of its flow: held in memory they would drive
 * the tables out of the caches, which packets that come and go in a node's few buffers do not. The native twin makes
 * the same (native/twin.c).
 */
export class Flows {
  /** Of each packet, in bytes: a multiple of 4. */
  readonly length: number;
  private readonly model: Int32Array;
  private readonly modelBytes: Uint8Array;
  private readonly sourceAt: number;
  private readonly destinationAt: number;
  private readonly portsAt: number;
  private readonly words: number;
  /** Network order. */
  private readonly destinations: Uint32Array;

  /**
   * @param model a packet, in which the source, the destination and the source port will be exchanged
   * @param start where in it the IP header is whose they are
   * @param ranges of one family: each flow goes to the first address of one of them
   * @param count of flows: further numbers begin again
   */
  constructor(
    model: Uint8Array,
    start: number,
    ranges: readonly Prefix[],
    private readonly count: number,
  ) {
    const { version } = ranges[0];
    this.length = model.length;
    this.modelBytes = Uint8Array.from(model);
    this.model = new Int32Array(this.modelBytes.buffer);
    // Of an IPv6 source the last word.
    this.sourceAt = start + (version === 4 ? 12 : 20);
    this.destinationAt = start + (version === 4 ? 16 : 24);
    this.portsAt = start + (version === 4 ? 20 : 40);
    this.words = version === 4 ? 1 : 4;
    this.destinations = new Uint32Array(ranges.length * this.words);
    const data = new DataView(this.destinations.buffer);
    for (const [index, { words }] of ranges.entries()) {
      for (const [word, value] of words.entries()) data.setUint32(4 * (index * this.words + word), value);
    }
  }

  write(number: number, data: DataView, at: number): void {
    const flow = number % this.count;
    const { model, words, destinations } = this;
    const source = mix(2 * flow + 1);
    const other = mix(2 * flow + 2);
    for (let word = 0; word < model.length; word++) data.setInt32(at + 4 * word, model[word], true);
    data.setInt32(at + this.sourceAt, source, true);
    data.setUint16(at + this.portsAt, other & 0xffff, true);
    const from = ((other >>> 0) % (destinations.length / words)) * words;
    for (let word = 0; word < words; word++) {
      data.setUint32(at + this.destinationAt + 4 * word, destinations[from + word], true);
    }
  }

  /** The same as `struct flows`. */
  get native(): object {
    return {
      model: this.modelBytes,
      count: this.count,
      length: this.length,
      source_at: this.sourceAt,
      destination_at: this.destinationAt,
      ports_at: this.portsAt,
      words: this.words,
      destinations: this.destinations,
      destination_count: this.destinations.length / this.words,
    };
  }
}

/** 32 bits that look random; no two numbers have the same. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}
