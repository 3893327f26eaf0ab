import { formatIpv4, formatIpv6 } from '../../wire/address.js';
import type { IpPacket } from '../../wire/ip.js';
import type { Field, Layer } from './layer.js';

/** What the dissectors here can read. */
export type Kind =
  | 'ethernet'
  | 'vlan'
  | 'linux-sll'
  | 'linux-sll2'
  | 'null'
  | 'loop'
  | 'ip'
  | 'ipv4'
  | 'ipv6'
  | 'tcp'
  | 'udp'
  | 'gue'
  | 'payload';

/** What the person who asks knows and the bytes do not say. */
export interface Knowledge {
  /** UDP destination ports of GUE. */
  readonly guePorts: ReadonlySet<number>;
}

/** Where a layer is to be read, and what the layers around it said. */
export interface Place {
  readonly data: DataView;
  readonly start: number;
  /** One past the last byte that may be the layer's. */
  readonly limit: number;
  /** Bytes are missing at `limit`: cut by the snap length, by who quoted the packet, or announced and not there. */
  readonly cut: boolean;
  /** In the packet that an ICMP error is about. */
  readonly quoted: boolean;
  /** The innermost IP header around, for checksums; null where there is none, or it does not parse. */
  readonly ip: IpPacket | null;
  /** What the layer before called this one, for bytes that nothing here reads. */
  readonly name: string;
  readonly knowledge: Knowledge;
}

/** What a dissector found: where its layer ends and what the layer carries. */
export interface Step {
  /** One past the layer's last byte, at most the place's limit. */
  readonly end: number;
  /** Where what it carries starts, at most `end`. */
  readonly payload: number;
  readonly next: Kind;
  /** Bytes of what it carries are missing. */
  readonly cut: boolean;
  /** What it carries, where `next` is `payload`: the name of a protocol that nothing here reads. */
  readonly name?: string;
  readonly quotes?: true;
  readonly ip?: IpPacket | null;
}

/** @returns the layer read, and what comes next; never throws, whatever the bytes */
export type Dissector = (layer: LayerReader) => Step;

/** Name, value and note of a field. */
export type Shown = readonly [name: string, value: string, note?: string | undefined];

const HEX_BYTES = 8;
const WHOLE_HEX_BYTES = 16;

/**
 * Reads a layer's fields one behind the other, so that none is left out. A field that is not all here becomes one
 * called `(cut short)`, and from then on every read gives zero.
 */
export class LayerReader {
  readonly fields: Field[] = [];
  summary = '';
  /** Where the next field starts. */
  at: number;
  /** A field was not all here. */
  short = false;
  private readonly problems: string[] = [];

  constructor(
    readonly place: Place,
    public protocol = '',
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

  /** Bytes left in the place. */
  get left(): number {
    return this.place.limit - this.at;
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

  ipv6Address(name: string, note?: string): string {
    return this.text(name, 16, formatIpv6, note);
  }

  macAddress(name: string): string {
    return this.text(name, 6, formatMac);
  }

  /** Bytes that are shown as they are. */
  bytes(name: string, length: number, note?: string): void {
    if (length > 0) this.text(name, length, (data, at) => hexOf(data, at, length), note);
  }

  /** A field of any length. @returns its text, empty when it was cut short */
  text(name: string, length: number, show: (data: DataView, at: number) => string, note?: string): string {
    if (!this.has(length)) return '';
    const text = show(this.data, this.at);
    this.add(name, length, text, note);
    this.at += length;
    return text;
  }

  /** For a layer that ends with its header, or with the place. */
  carries(next: Kind, end = this.limit, name?: string): Step {
    const step = { end, payload: Math.min(this.at, end), next, cut: this.place.cut && end === this.limit };
    return name === undefined ? step : { ...step, name };
  }

  /** For a layer that is cut inside its header. @param least how long the header has to be */
  cutHeader(least: number): Step {
    if (!this.place.cut) {
      this.problem(`cut short: ${this.limit - this.start} of at least ${least} header bytes are here`);
    }
    return this.carries('payload');
  }

  layer(end: number): Layer {
    const { place, protocol, summary, fields, problems } = this;
    const layer: Layer = { protocol, offset: place.start, length: end - place.start, summary, fields };
    if (problems.length > 0) layer.problem = problems.join('; ');
    if (place.quoted) layer.quoted = true;
    return layer;
  }

  private has(length: number): boolean {
    if (this.short) return false;
    if (this.left >= length) return true;
    this.short = true;
    const here = this.left;
    if (here > 0) {
      this.add('(cut short)', here, hexOf(this.data, this.at, here), `${here} of ${length} bytes are here`);
    }
    this.at = this.limit;
    return false;
  }

  private add(name: string, length: number, value: string, note: string | undefined): void {
    const field: Field = { name, offset: this.at, length, hex: hexOf(this.data, this.at, length), value };
    if (note !== undefined) field.note = note;
    this.fields.push(field);
  }
}

/** Hexadecimal; of more than 16 bytes only the first 8. */
export function hexOf(data: DataView, offset: number, length: number): string {
  const shown = length > WHOLE_HEX_BYTES ? HEX_BYTES : length;
  let text = '';
  for (let i = 0; i < shown; i++)
    text += data
      .getUint8(offset + i)
      .toString(16)
      .padStart(2, '0');
  return shown < length ? `${text}…` : text;
}

function formatMac(data: DataView, offset: number): string {
  const parts: string[] = [];
  for (let i = 0; i < 6; i++) parts.push(hexOf(data, offset + i, 1));
  return parts.join(':');
}

/** `0x001f`: as many digits as the bytes have. */
export function hexNumber(bytes: number): (value: number) => string {
  return (value) => `0x${value.toString(16).padStart(2 * bytes, '0')}`;
}

export const hex16 = hexNumber(2);
export const hex32 = hexNumber(4);

/** `1 byte`, `20 bytes`. */
export function bytesText(count: number): string {
  return `${count} byte${count === 1 ? '' : 's'}`;
}
