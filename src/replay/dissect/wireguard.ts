import {
  WIREGUARD_AT_TYPE,
  WIREGUARD_COOKIE,
  WIREGUARD_DATA,
  WIREGUARD_DATA_AT_CONTENT,
  WIREGUARD_DATA_AT_COUNTER,
  WIREGUARD_DATA_MIN_LENGTH,
  WIREGUARD_INITIATION,
  WIREGUARD_RESPONSE,
  wireguardLength,
} from '../../wire/wireguard.js';
import type { LayerReader, Step } from './layer-reader.js';
import { hex32, hexNumber } from './text.js';

/** WireGuard as far as it can be read without keys, and WARP's clientid: see `wire/wireguard.ts`. */

const NAMES: ReadonlyMap<number, string> = new Map([
  [WIREGUARD_INITIATION, 'initiation'],
  [WIREGUARD_RESPONSE, 'response'],
  [WIREGUARD_COOKIE, 'cookie reply'],
  [WIREGUARD_DATA, 'data'],
]);

/** More messages than any session sends: one that seems to have a higher number is probably something else. */
const LIKELY_COUNTERS = 2n ** 40n;

/** Is what lies here likely a message of WireGuard, by its type, its length, and for WARP's data its counter? */
export function isWireguard(data: DataView, start: number, limit: number, missing: number): boolean {
  if (limit - start < WIREGUARD_DATA_AT_CONTENT) return false;
  const type = data.getUint8(start + WIREGUARD_AT_TYPE);
  const length = limit - start + missing;
  const least = wireguardLength(type);
  if (type !== WIREGUARD_DATA) return least !== 0 && length === least;
  const counter = data.getBigUint64(start + WIREGUARD_DATA_AT_COUNTER, true);
  return length >= least && (!hasClientid(data, start) || counter < LIKELY_COUNTERS);
}

/** Are the three bytes behind the type other than stock WireGuard's? */
export function hasClientid(data: DataView, start: number): boolean {
  return (data.getUint32(start) & 0xffffff) !== 0;
}

export function dissectWireguard(layer: LayerReader): Step {
  const type = layer.number('Type', 1, String, (value) => NAMES.get(value));
  const clientid = layer.number('Reserved', 3, hexNumber(3), (value) =>
    value === 0 ? 'no clientid' : 'clientid (WARP)',
  );
  layer.summary = NAMES.get(type) ?? `type ${type}`;
  if (clientid !== 0) layer.summary += ` clientid ${hexNumber(3)(clientid)}`;
  switch (type) {
    case WIREGUARD_INITIATION:
      readIndex(layer, 'Sender');
      layer.bytes('Unencrypted Ephemeral', 32);
      layer.bytes('Encrypted Static', 48);
      layer.bytes('Encrypted Timestamp', 28);
      readMacs(layer);
      break;
    case WIREGUARD_RESPONSE:
      readIndex(layer, 'Sender');
      readIndex(layer, 'Receiver');
      layer.bytes('Unencrypted Ephemeral', 32);
      layer.bytes('Encrypted Nothing', 16);
      readMacs(layer);
      break;
    case WIREGUARD_COOKIE:
      readIndex(layer, 'Receiver');
      layer.bytes('Nonce', 24);
      layer.bytes('Encrypted Cookie', 32);
      break;
    default:
      readData(layer);
  }
  return layer.carries('payload');
}

function readData(layer: LayerReader): void {
  readIndex(layer, 'Receiver');
  const counter = layer.text('Counter', 8, (data, at) => String(data.getBigUint64(at, true)));
  const isKeepalive = layer.announced === WIREGUARD_DATA_MIN_LENGTH - WIREGUARD_DATA_AT_CONTENT;
  layer.summary += ` counter ${counter}${isKeepalive ? ' keepalive' : ` length ${layer.announced}`}`;
  layer.bytes('Encrypted Packet', layer.left, isKeepalive ? 'the tag alone: a keepalive' : undefined);
}

/** Little-endian, as all of WireGuard's numbers. */
function readIndex(layer: LayerReader, name: string): void {
  const index = layer.text(name, 4, (data, at) => hex32(data.getUint32(at, true)));
  layer.summary += ` ${name.toLowerCase()} ${index}`;
}

function readMacs(layer: LayerReader): void {
  layer.bytes('MAC1', 16);
  layer.bytes('MAC2', 16, 'zero unless the receiver asked for a cookie');
}
