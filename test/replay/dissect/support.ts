import type { Field, Layer } from '../../../src/replay/dissect/dissect.js';
import { parseIpv4 } from '../../../src/table/address.js';
import { writeTransportChecksum } from '../../../src/wire/checksum.js';
import { IpPacket } from '../../../src/wire/ip.js';
import { encodeIpv4Into, IPV4_DF } from '../../../src/wire/ipv4.js';
import { encodeIpv6Into } from '../../../src/wire/ipv6.js';
import { LINKTYPE } from '../../../src/wire/link.js';
import { encodeUdpInto } from '../../../src/wire/udp.js';
import { addressBytes, CLIENT4, CLIENT6, VIP4, VIP6 } from '../../path/packets.js';
import { concat, dataOf, hex } from '../../wire/bytes.js';

export const { ETHERNET, RAW } = LINKTYPE;

export interface IpSpec {
  readonly flagsAndOffset?: number;
  readonly source?: string;
  readonly destination?: string;
}

/** An IPv4 packet with whatever payload; a transport checksum in it is made right. */
export function ipv4(protocol: number, payload: Uint8Array, spec: IpSpec = {}): Uint8Array {
  const bytes = concat(new Uint8Array(20), payload);
  const source = parseIpv4(spec.source ?? CLIENT4);
  const destination = parseIpv4(spec.destination ?? VIP4);
  const flagsAndOffset = spec.flagsAndOffset ?? IPV4_DF;
  encodeIpv4Into(dataOf(bytes), 0, bytes.length, protocol, source, destination, 64, flagsAndOffset, 0x1234);
  return checked(bytes);
}

export function ipv6(protocol: number, payload: Uint8Array): Uint8Array {
  const bytes = concat(new Uint8Array(40), payload);
  encodeIpv6Into(dataOf(bytes), 0, payload.length, protocol, addressBytes(CLIENT6), addressBytes(VIP6));
  return checked(bytes);
}

/** A UDP datagram over IPv4. */
export function udp(sourcePort: number, destinationPort: number, payload: Uint8Array): Uint8Array {
  const bytes = concat(new Uint8Array(8), payload);
  encodeUdpInto(dataOf(bytes), 0, sourcePort, destinationPort, bytes.length);
  return ipv4(17, bytes);
}

export function ethernet(type: number, payload: Uint8Array): Uint8Array {
  return concat(hex('020000000001 020000000002', type.toString(16).padStart(4, '0')), payload);
}

function checked(bytes: Uint8Array): Uint8Array {
  const packet = new IpPacket();
  packet.parse(dataOf(bytes), 0, bytes.length);
  writeTransportChecksum(packet);
  return bytes;
}

/** The only layer of that name, or the n-th. */
export function layerOf(layers: readonly Layer[], protocol: string, index = 0): Layer {
  const layer = layers.filter((each) => each.protocol === protocol).at(index);
  if (layer === undefined)
    throw new Error(`no ${protocol} in ${layers.map((each) => each.protocol).join(' ')}`);
  return layer;
}

/** `value (note)` by name; the last one of several with the same name. */
export function valuesOf(layer: Layer): Record<string, string> {
  return Object.fromEntries(layer.fields.map((field) => [field.name, text(field)]));
}

function text({ value, note }: Field): string {
  return note === undefined ? value : `${value} (${note})`;
}

export function protocolsOf(layers: readonly Layer[]): string[] {
  return layers.map(({ protocol }) => protocol);
}

/**
 * What holds for every packet there is: layers nest, fields lie in the order of their bytes and inside their layer but
 * outside what it carries, and every byte has one.
 */
export function expectSound(bytes: Uint8Array, layers: readonly Layer[]): void {
  const owner = new Int32Array(bytes.length).fill(-1);
  const around: Layer[] = [];
  layers.forEach((layer, index) => {
    const end = endOf(layer);
    if (layer.length <= 0) throw new Error(`${layer.protocol} has no bytes`);
    while (around.length > 0 && endOf(around[around.length - 1]) <= layer.offset) around.pop();
    const parent = around.at(-1);
    if (parent !== undefined && end > endOf(parent)) throw new Error(`${layer.protocol} sticks out`);
    around.push(layer);
    owner.fill(index, layer.offset, end);
  });
  const described = new Uint8Array(bytes.length);
  layers.forEach((layer, index) => {
    let at = layer.offset;
    for (const { offset, length, hex: shown, name } of layer.fields) {
      const where = `${layer.protocol}: ${name} at ${offset}`;
      if (length <= 0 || offset < at) throw new Error(`${where}: before the one before it, or empty`);
      at = offset;
      for (let i = offset; i < offset + length; i++) {
        if (owner[i] !== index) throw new Error(`${where} reaches into another layer`);
        described[i] = 1;
      }
      const digits = Buffer.from(bytes.subarray(offset, offset + length)).toString('hex');
      if (!digits.startsWith(shown.replace('…', ''))) throw new Error(`${where}: ${shown} is not there`);
    }
  });
  const gap = described.indexOf(0);
  if (gap >= 0) throw new Error(`byte ${gap} has no field`);
}

function endOf(layer: Layer): number {
  return layer.offset + layer.length;
}
