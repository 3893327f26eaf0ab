import { type DissectorSpec, FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import type { SharedSessions } from '../../src/path/session-set.js';
import { type SocketLookup, type SocketQueries, SocketState, TUPLE_SIZE } from '../../src/path/sockets.js';
import type { PathConfig, PathTrafficset } from '../../src/path/state.js';
import { parseIpv4, parsePrefix } from '../../src/table/address.js';
import { ForwardingTable, newSlots } from '../../src/table/forwarding-table.js';
import {
  ALL_PORTS,
  type FragmentRule,
  type PortRange,
  protocolsOf,
  type TrafficsetKind,
} from '../../src/table/trafficset.js';
import { compileVips } from '../../src/table/vip-compile.js';

/** Small builders for tests of the path: a cluster of three servers, seen from the first. */

export const SELF = parseIpv4('10.0.1.1');
export const OTHER = parseIpv4('10.0.2.1');
export const THIRD = parseIpv4('10.0.3.1');

export interface TestTrafficset {
  readonly name: string;
  readonly kind: TrafficsetKind;
  readonly vips: readonly string[];
  readonly ports?: readonly PortRange[];
  readonly table?: ForwardingTable | null;
  readonly protocols?: readonly number[];
  readonly dissector?: DissectorSpec;
  readonly fragments?: FragmentRule;
  /** Null: the service has said nothing. Absent: it will say nothing. */
  readonly sessions?: SharedSessions | null;
}

/** A table with the same two hops in every bucket. */
export function uniformTable(
  first: number,
  second: number,
  buckets = 16,
  trafficset = 'web',
): ForwardingTable {
  const slots = newSlots(buckets);
  for (let b = 0; b < buckets; b++) {
    slots[2 * b] = first;
    slots[2 * b + 1] = second;
  }
  return new ForwardingTable({
    trafficset,
    version: 1,
    hashKey: Buffer.from('0001020304050607', 'hex'),
    slots,
  });
}

export function pathConfig(
  trafficsets: readonly TestTrafficset[],
  overrides: Partial<PathConfig> & { underlay?: readonly string[] } = {},
): PathConfig {
  const { underlay = ['10.0.0.0/16'], ...rest } = overrides;
  const prefixes = underlay.flatMap((text) => {
    const prefix = parsePrefix(text);
    return [prefix.words[0], prefix.length === 0 ? 0 : (0xffffffff << (32 - prefix.length)) >>> 0];
  });
  return {
    dip: SELF,
    port: 6080,
    underlayMtu: 9000,
    underlayPrefixes: Uint32Array.from(prefixes),
    vips: compileVips(
      trafficsets.map((trafficset) => ({
        name: trafficset.name,
        kind: trafficset.kind,
        ...(trafficset.protocols === undefined ? {} : { protocols: trafficset.protocols }),
        vips: trafficset.vips.map(parsePrefix),
        ports: trafficset.ports ?? [ALL_PORTS],
        dissector: FOUR_TUPLE_SPEC,
        table: '',
      })),
    ),
    trafficsets: trafficsets.map(
      (trafficset): PathTrafficset => ({
        name: trafficset.name,
        kind: trafficset.kind,
        protocols: protocolsOf(trafficset),
        dissector: trafficset.dissector ?? FOUR_TUPLE_SPEC,
        followsFragments: trafficset.fragments === 'follow' ? 1 : 0,
        hasSessions: trafficset.sessions !== undefined,
        sessions: trafficset.sessions ?? null,
        table: trafficset.table?.shared() ?? null,
      }),
    ),
    servers: [
      { name: 's1', dip: SELF },
      { name: 's2', dip: OTHER },
      { name: 's3', dip: THIRD },
    ],
    icmpCopies: 1000,
    ...rest,
  };
}

/** Answers by a function of the tuple, and remembers what it was asked. */
export class FakeSockets implements SocketLookup {
  readonly asked: string[] = [];
  readonly syns: string[] = [];

  constructor(
    private readonly stateOf: (tuple: string) => SocketState = () => SocketState.None,
    private readonly cookieOf: (tuple: string, sequence: number) => boolean = () => false,
  ) {}

  resolve(queries: SocketQueries): void {
    for (let i = 0; i < queries.count; i++) {
      const tuple = describeTuple(queries, i);
      this.asked.push(tuple);
      queries.state[i] = this.stateOf(tuple);
    }
  }

  synAccepted(queries: SocketQueries, index: number, sequence: number): void {
    this.syns.push(`${describeTuple(queries, index)} ${sequence >>> 0}`);
  }

  completesCookie(queries: SocketQueries, index: number, sequence: number): boolean {
    return this.cookieOf(describeTuple(queries, index), sequence >>> 0);
  }

  delivered(): void {}
}

/** `tcp REMOTE-HEX:PORT > LOCAL-HEX:PORT`, as the client's packets go. */
export function describeTuple(queries: SocketQueries, index: number): string {
  const at = index * TUPLE_SIZE;
  const bytes = queries.version[index] === 4 ? 4 : 16;
  const hex = (from: number) => queries.tuples.subarray(from, from + bytes).toString('hex');
  const port = (from: number) => queries.tuples.readUInt16BE(from);
  const protocol = queries.protocol[index] === 6 ? 'tcp' : 'udp';
  return `${protocol} ${hex(at + 16)}:${port(at + 34)} > ${hex(at)}:${port(at + 32)}`;
}
