import { isIPv4 } from 'node:net';
import { halfSipHash24 } from '../flow/halfsiphash.js';
import { parseIpv4, parseIpv6 } from '../table/address.js';
import type { ForwardingTable } from '../table/forwarding-table.js';
import { dipOf, serverName } from './addresses.js';
import type { Endpoint, Tuple } from './client-protocol.js';
import { TestbedError } from './errors.js';

/**
 * Which bucket a connection belongs to, computed from addresses as a client prints them: the client's side of the
 * story, to be held against what the servers did.
 */
export function bucketOf(table: ForwardingTable, { local, remote }: Tuple): number {
  const key = Buffer.concat([
    addressBytes(local.address),
    addressBytes(remote.address),
    Buffer.of(local.port >>> 8, local.port & 0xff, remote.port >>> 8, remote.port & 0xff),
  ]);
  return bucketOfKey(table, key);
}

/** Which bucket a flow key belongs to, whatever it was made of. */
export function bucketOfKey(table: ForwardingTable, key: Uint8Array): number {
  const padded = Buffer.alloc(4 * Math.ceil(key.length / 4));
  padded.set(key);
  const words = new Int32Array(padded.length / 4);
  for (let word = 0; word < words.length; word++) words[word] = padded.readInt32LE(4 * word);
  return halfSipHash24(words, key.length, table.key0, table.key1) & table.mask;
}

/** Network order. */
function addressBytes(text: string): Buffer {
  const words = isIPv4(text) ? [parseIpv4(text)] : parseIpv6(text);
  const bytes = Buffer.alloc(4 * words.length);
  words.forEach((word, index) => {
    bytes.writeUInt32BE(word, 4 * index);
  });
  return bytes;
}

/** So many ports are tried: enough to find all servers that the testbed takes. */
const PORTS = 1000;

/**
 * A local port, one of a thousand from `first` on, with which a client's 4-tuple has this server as first hop.
 * @throws {TestbedError} when there is none
 */
export function portFor(
  table: ForwardingTable,
  server: number,
  flow: { readonly address: string; readonly first: number; readonly remote: Endpoint },
): number {
  const { address, first, remote } = flow;
  const dip = parseIpv4(dipOf(server));
  for (let port = first; port < first + PORTS; port++) {
    if (table.firstHop(bucketOf(table, { local: { address, port }, remote })) === dip) return port;
  }
  throw new TestbedError(`no port of ${address} belongs to ${serverName(server)}`);
}
