import { formatIpv4 } from '../../wire/address.js';
import type { LayerReader, Step } from './layer-reader.js';
import { ethertypeName } from './protocols.js';
import { formatMac, hex16, hexOf, inBytes } from './text.js';

/** ARP (RFC 826; operations: IANA "Address Resolution Protocol Parameters"). */

const REQUEST = 1;
const REPLY = 2;
const OPERATIONS: ReadonlyMap<number, string> = new Map([
  [REQUEST, 'request'],
  [REPLY, 'reply'],
  [3, 'reverse request'],
  [4, 'reverse reply'],
]);

const HEADER = 8;

export function dissectArp(layer: LayerReader): Step {
  layer.number('Hardware Type', 2, String, (value) => (value === 1 ? 'Ethernet' : undefined));
  layer.number('Protocol Type', 2, hex16, ethertypeName);
  const hardwareLength = layer.number('Hardware Address Length', 1, String, inBytes);
  const protocolLength = layer.number('Protocol Address Length', 1, String, inBytes);
  const operation = layer.number('Operation', 2, String, (value) => OPERATIONS.get(value));
  const senderHardware = hardwareAddress(layer, 'Sender Hardware Address', hardwareLength);
  const sender = protocolAddress(layer, 'Sender Protocol Address', protocolLength);
  hardwareAddress(layer, 'Target Hardware Address', hardwareLength);
  const target = protocolAddress(layer, 'Target Protocol Address', protocolLength);
  if (layer.short) return layer.cutHeader(HEADER + 2 * (hardwareLength + protocolLength));
  if (operation === REQUEST) layer.summary = `who has ${target} tell ${sender}`;
  else if (operation === REPLY) layer.summary = `${sender} is at ${senderHardware}`;
  else layer.summary = OPERATIONS.get(operation) ?? `operation ${operation}`;
  return layer.carries('payload', layer.at);
}

function hardwareAddress(layer: LayerReader, name: string, length: number): string {
  if (length === 0) return '';
  return layer.text(name, length, (data, at) =>
    length === 6 ? formatMac(data, at) : hexOf(data, at, length),
  );
}

function protocolAddress(layer: LayerReader, name: string, length: number): string {
  if (length === 0) return '';
  return layer.text(name, length, (data, at) =>
    length === 4 ? formatIpv4(data.getUint32(at)) : hexOf(data, at, length),
  );
}
