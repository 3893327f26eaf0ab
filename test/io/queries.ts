import type { ListedFlow } from '../../src/io/listed-sockets.js';
import { type SocketLookup, SocketQueries, TUPLE_SIZE } from '../../src/path/sockets.js';
import { parseIpv4, parseIpv6 } from '../../src/table/address.js';

/** Questions for these flows, in order. */
export function queriesFor(
  flows: readonly ListedFlow[],
  capacity = Math.max(1, flows.length),
): SocketQueries {
  const queries = new SocketQueries(capacity);
  for (const flow of flows) {
    const index = queries.count++;
    const at = index * TUPLE_SIZE;
    queries.version[index] = flow.local.includes(':') ? 6 : 4;
    queries.protocol[index] = flow.protocol === 'tcp' ? 6 : 17;
    writeAddress(queries, at, flow.local);
    writeAddress(queries, at + 16, flow.remote);
    queries.tuples.writeUInt16BE(flow.localPort, at + 32);
    queries.tuples.writeUInt16BE(flow.remotePort, at + 34);
  }
  // What the answers are written over must not matter.
  queries.state.fill(0xa5);
  return queries;
}

function writeAddress(queries: SocketQueries, at: number, address: string): void {
  const words = address.includes(':') ? parseIpv6(address) : [parseIpv4(address), 0, 0, 0];
  words.forEach((word, i) => {
    queries.tuples.writeUInt32BE(word, at + 4 * i);
  });
}

/** The states of these flows, asked together. */
export function statesOf(lookup: SocketLookup, ...flows: ListedFlow[]): number[] {
  const queries = queriesFor(flows);
  lookup.resolve(queries);
  return [...queries.state];
}

/** A TCP flow of a small numbered world. */
export function flow(remotePort: number, changes: Partial<ListedFlow> = {}): ListedFlow {
  return {
    protocol: 'tcp',
    local: '192.0.2.1',
    localPort: 80,
    remote: '198.51.100.3',
    remotePort,
    ...changes,
  };
}
