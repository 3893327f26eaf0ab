import { formatIpv4, formatIpv6 } from '../../wire/address.js';
import type { Field, Layer } from './layer.js';
import { bytesText, formatMac, shortHexOf } from './text.js';

/** What the dissectors here can read. */
export type Kind =
  | 'ah'
  | 'arp'
  | 'destination-options'
  | 'esp'
  | 'ethernet'
  | 'fragment'
  | 'gre'
  | 'gue'
  | 'hop-by-hop'
  | 'icmp'
  | 'icmp-extensions'
  | 'icmpv6'
  | 'ip'
  | 'ipv4'
  | 'ipv6'
  | 'ipv6-extension'
  | 'linux-sll'
  | 'linux-sll2'
  | 'loop'
  | 'null'
  | 'payload'
  | 'quic'
  | 'routing'
  | 'tcp'
  | 'trailer'
  | 'udp'
  | 'vlan'
  | 'wireguard';

/** What the person who asks knows and the bytes do not say. */
export interface Knowledge {
  /** UDP destination ports of GUE. */
  readonly guePorts: readonly number[];
  /** Of the destination connection ID in a QUIC short header, in bytes; -1 for not known. */
  readonly quicCidLength: number;
}

/** Where a layer is to be read, and what the layers around it said. */
export interface Place {
  readonly data: DataView;
  readonly start: number;
  /** One past the last byte that may be the layer's. */
  readonly limit: number;
  /**
   * How many bytes were announced behind `limit` and are not here: cut by the snap length or by who quoted the packet, or
   * never there. `Infinity` where nobody said how many: in a quote whose own length is yet to be read, in a first fragment.
   */
  readonly missing: number;
  /** In the packet that an ICMP error is about. */
  readonly quoted: boolean;
  /** The innermost IP header around; null where there is none. */
  readonly ip: IpAround | null;
  /** What the layer before called this one. */
  readonly name: string;
  readonly knowledge: Knowledge;
}

/** An IP header, for what it carries. */
export interface IpAround {
  readonly version: 4 | 6;
  /** Where it starts, and one past the last byte of what may be its packet. */
  readonly start: number;
  readonly limit: number;
  /** Not yet at its final destination, with which checksums are computed. */
  readonly routed: boolean;
}

/** What a dissector found: where its layer ends and what the layer carries. */
export interface Step {
  /** One past the layer's last byte: behind its start, and at most the place's limit. */
  readonly end: number;
  /** Where what it carries starts, at most `end`. */
  readonly payload: number;
  readonly next: Kind;
  /** Of what it carries: as in {@link Place}, behind `end`. */
  readonly missing: number;
  /** The name of what it carries, for what nothing here reads. */
  readonly name: string;
  /** What it carries is quoted. */
  readonly quotes?: true;
  /** What follows the layer's end in the same place; nothing that was announced, where it is left out. */
  readonly behind?: Kind;
  /** The IP header that the layer is. */
  readonly ip?: IpAround;
}

/** Reads one layer of at least one byte; never throws, whatever the bytes. */
export type Dissector = (layer: LayerReader) => Step;

/** Name, value and note of a field. */
export type Shown = readonly [name: string, value: string, note?: string | undefined];

/**
 * Reads a layer's fields one behind the other, so that none is left out. A field that is not all here becomes one
 * called `(cut short)`, and from then on every read gives zero and leaves nothing behind.
 */
export class LayerReader {
  summary = '';
  /** Where the next field starts. */
  at: number;
  /** A field was not all here. */
  short = false;
  private readonly fields: Field[] = [];
  private readonly problems: string[] = [];

  constructor(
    readonly place: Place,
    public protocol: string,
  ) {
    this.at = place.start;
  }

  get start(): number {
    return this.place.start;
  }

  get limit(): number {
    return this.place.limit;
  }

  get data(): DataView {
    return this.place.data;
  }

  /** Bytes of the place that are not yet read. */
  get left(): number {
    return this.place.limit - this.at;
  }

  /** The same with those that are missing, as far as their number is known. */
  get announced(): number {
    const { missing } = this.place;
    return this.left + (Number.isFinite(missing) ? missing : 0);
  }

  problem(text: string): void {
    this.problems.push(text);
  }

  /** A whole number of 1 to 4 bytes. */
  number(
    name: string,
    length: number,
    show: (value: number) => string = String,
    note?: (value: number) => string | undefined,
  ): number {
    return this.packed(length, (value) => [[name, show(value), note?.(value)]]);
  }

  /** Several fields that share 1 to 4 bytes. @returns all of them as one number */
  packed(length: number, show: (value: number) => readonly Shown[]): number {
    if (!this.has(length)) return 0;
    let value = 0;
    for (let i = 0; i < length; i++) value = value * 256 + this.data.getUint8(this.at + i);
    for (const [name, text, note] of show(value)) this.add(name, length, text, note);
    this.at += length;
    return value;
  }

  ipv4Address(name: string, note?: string): string {
    return this.text(name, 4, (data, at) => formatIpv4(data.getUint32(at)), note);
  }

  ipv6Address(name: string): string {
    return this.text(name, 16, formatIpv6);
  }

  macAddress(name: string): string {
    return this.text(name, 6, formatMac);
  }

  /** Bytes that mean nothing to a reader. Nothing where `length` is not above zero. */
  bytes(name: string, length: number, note?: string): void {
    if (length > 0) this.text(name, length, () => bytesText(length), note);
  }

  /** A field of any length. @returns its text, empty when it was cut short */
  text(name: string, length: number, show: (data: DataView, at: number) => string, note?: string): string {
    if (!this.has(length)) return '';
    const text = show(this.data, this.at);
    this.add(name, length, text, note);
    this.at += length;
    return text;
  }

  /** The end of a layer whose header is read. @param end of the layer, where that is not the place's */
  carries(next: Kind, end = this.limit, name = ''): Step {
    const missing = end === this.limit ? this.place.missing : 0;
    return { end, payload: Math.min(this.at, end), next, missing, name };
  }

  /** The end of a layer that is cut inside its header. @param least how long such a header is at least, in bytes */
  cutHeader(least: number): Step {
    const here = this.limit - this.start;
    if (this.place.missing === 0) {
      const needed =
        here < least ? `${here} of at least ${bytesText(least)} are here` : 'it goes on behind the end';
      this.problem(`cut short: ${needed}`);
    }
    return this.carries('payload');
  }

  layer(step: Step): Layer {
    const { place, protocol, summary, fields, problems } = this;
    const layer: Layer = { protocol, offset: place.start, length: step.end - place.start, summary, fields };
    if (problems.length > 0) layer.problem = problems.join('; ');
    if (place.quoted) layer.quoted = true;
    if (step.missing > 0 && Number.isFinite(step.missing)) layer.missing = step.missing;
    return layer;
  }

  private has(length: number): boolean {
    if (this.short) return false;
    const here = this.left;
    if (here >= length) return true;
    this.short = true;
    if (here > 0) this.add('(cut short)', here, bytesText(here), `of ${length}`);
    this.at = this.limit;
    return false;
  }

  private add(name: string, length: number, value: string, note: string | undefined): void {
    const field: Field = {
      name,
      offset: this.at,
      length,
      hex: shortHexOf(this.data, this.at, length),
      value,
    };
    if (note !== undefined) field.note = note;
    this.fields.push(field);
  }
}
