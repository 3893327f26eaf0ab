import { FlowKey } from '../../flow/flow-key.js';
import { halfSipHash24 } from '../../flow/halfsiphash.js';
import { SipHash24 } from '../../flow/siphash.js';
import type { ForwarderProfile, KeyField } from './forwarder-profile.js';
import type { ForwarderService } from './forwarder-site.js';
import type { ForwardFlow, ForwardReading } from './profiled-forwarder-reading.js';
import type { InnerFlow } from './reading.js';
import { type ServiceKey, serviceKey } from './service-key.js';

/** Third part of the model: the bytes that identify a flow, and their hash. */

/** What the service's dissector says; where it has none, the fields of the key. */
export function keyOf(reading: ForwardReading, service: ForwarderService, flow: ForwardFlow): ServiceKey {
  const { data, profile } = reading;
  if (service.dissector !== null) return serviceKey(service.dissector, data, flow.quoted);
  return { kind: 'key', bytes: keyOfFields(data, flow, service.keyFields ?? profile.keyFields) };
}

/** The fields' bytes as they are on the wire, one after the other. */
export function keyOfFields(data: DataView, flow: InnerFlow, fields: readonly KeyField[]): Uint8Array {
  const address = (offset: number): Uint8Array =>
    new Uint8Array(data.buffer, data.byteOffset + offset, flow.version === 4 ? 4 : 16);
  const port = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);
  const bytes: Readonly<Record<KeyField, () => Uint8Array>> = {
    'source-address': () => address(flow.client),
    'destination-address': () => address(flow.vip),
    'source-port': () => port(flow.clientPort),
    'destination-port': () => port(flow.vipPort),
  };
  return Uint8Array.from(fields.flatMap((field) => [...bytes[field]()]));
}

export interface FlowHash {
  /** The hash, or the first four bytes of the digest, as a little-endian uint32: what rows and ports are taken from. */
  readonly low: number;
  /** All of it as a number in hexadecimal. */
  readonly hex: string;
}

export function hashOf(hash: ForwarderProfile['hash'], hashKey: Uint8Array, key: Uint8Array): FlowHash {
  const message = new FlowKey();
  message.bytes.set(key);
  const secret = new DataView(hashKey.buffer, hashKey.byteOffset, hashKey.byteLength);
  if (hash === 'halfsiphash-2-4') {
    const low =
      halfSipHash24(message.words, key.length, secret.getInt32(0, true), secret.getInt32(4, true)) >>> 0;
    return { low, hex: hex(low) };
  }
  const sip = new SipHash24(hashKey);
  sip.hash(message.words, key.length);
  return { low: sip.low >>> 0, hex: hex(sip.high >>> 0) + hex(sip.low >>> 0) };
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
