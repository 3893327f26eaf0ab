import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Redirector } from '../../src/path/redirector.js';
import { SocketState } from '../../src/path/sockets.js';
import { PathState } from '../../src/path/state.js';
import { Action, VERDICTS } from '../../src/path/verdict.js';
import { ipOfFrame, readVectors } from '../vectors.js';
import { FakeSockets, pathConfig } from './support.js';

/**
 * The published redirector's 2,200 packets through ours. Where both do the same, the bytes must be the same; where
 * they differ, the difference must be one that is listed here with its reason.
 */

interface Vector {
  readonly name: string;
  readonly in: string;
  readonly out: string | null;
  readonly action: 'pass' | 'drop' | 'decap' | 'forward_gue' | 'forward_gre';
  readonly counters: Record<string, number>;
}
interface VectorFile {
  readonly sockets: {
    readonly established_tuples_as_seen_by_packet: ReadonlyArray<{
      proto: string;
      src: string;
      sport: number;
      dst: string;
      dport: number;
    }>;
  };
  readonly vectors: readonly Vector[];
}

/**
 * [how many packets, what the published redirector does, what ours does, why]; a trailing * stands for anything. The
 * first row that fits counts. The numbers are locked: a change of the path that moves one is to be looked at.
 */
const DIFFERENCES: ReadonlyArray<readonly [number, string, string, string]> = [
  [
    439,
    '*',
    'drop_malformed_gue',
    'GRE on the last hop is not understood; a wrapper that is not whole is refused',
  ],
  [20, 'pass', 'drop*', 'a port that carries only GUE has nothing to pass to'],
  [13, 'pass', 'redirect', 'ethertype and device are not ours to see'],
  [30, 'decap last_hop', 'drop*', 'the inner packet is checked at the last hop too'],
  [72, 'drop unwanted_icmp', 'accept_icmp*', 'every ICMP error belongs to a flow, other ICMP to any server'],
  [7, 'drop icmp_echo_replies', 'accept_icmp', 'harmless: the kernel ignores it'],
  [
    14,
    'drop malformed_icmp',
    'accept_icmp*',
    'errors about other protocols are for the kernel; extension headers are walked',
  ],
  [
    1,
    'drop malformed_icmp_pkt_too_big',
    'accept_icmp_error',
    'extension headers of a quoted packet are walked',
  ],
  [33, 'drop', 'accept_*', 'any number of used hops can be skipped'],
  [6, 'drop', 'redirect', 'any number of hops can be carried'],
  [14, 'drop malformed_ip', 'accept_established', 'up to eight extension headers are walked'],
  [3, 'drop malformed_ip', 'redirect', 'up to eight extension headers are walked'],
  [7, 'drop fragmented_ip', 'accept_*', 'an atomic IPv6 fragment is a whole packet (RFC 6946)'],
  [3, 'drop unknown_l4_proto', 'accept_*', 'AH and HIP headers are walked'],
  [8, 'decap established', 'drop_malformed_ip', 'length fields are checked'],
  [7, 'decap established', 'drop_malformed_transport', 'the TCP data offset is checked'],
  [6, 'decap established', 'drop_malformed_icmp', 'the quoted header is checked'],
  [3, 'decap established', 'drop_icmp_mismatch', 'the error must be addressed to the VIP that it quotes'],
  [2, 'decap established', 'drop_fragment', 'a quoted later fragment has no ports'],
  [3, 'decap established', 'accept_established other bytes', 'padding behind the inner packet is cut'],
  [2, 'decap syn_cookies', 'redirect', 'an ACK with FIN completes no handshake'],
  [2, 'forward_gue', 'drop_malformed_ip', 'length fields are checked'],
  [6, 'forward_gue', 'drop_icmp_mismatch', 'the error must be addressed to the VIP that it quotes'],
  [1, 'forward_gue', 'drop_fragment', 'a quoted later fragment has no ports'],
  [3, 'forward_gue', 'redirect other bytes', 'a non-zero outer UDP checksum is kept right'],
  [1, 'forward_gue', 'accept_self', 'the next hop is this server'],
];

const file = readVectors<VectorFile>('cls-redirect');
const established = new Set(
  file.sockets.established_tuples_as_seen_by_packet.map(
    (tuple) =>
      `${tuple.proto} ${hexAddress(tuple.src)}:${tuple.sport} > ${hexAddress(tuple.dst)}:${tuple.dport}`,
  ),
);
const state = new PathState(
  pathConfig(
    [
      { name: 'tcp', kind: 'tcp', vips: ['0.0.0.0/0', '::/0'] },
      { name: 'udp', kind: 'udp-flow', vips: ['0.0.0.0/0', '::/0'] },
    ],
    { dip: 0x7f000001, port: 1234, underlay: ['0.0.0.0/0'] },
  ),
);

describe("the published redirector's packets", () => {
  const counted = DIFFERENCES.map(() => 0);
  let agreeing = 0;

  it.each(groups())('%s: the same end, or a listed difference', (_group, vectors) => {
    for (const vector of vectors) {
      const theirs = describeTheirs(vector);
      const ours = run(vector);
      if (agrees(vector, ours)) {
        agreeing++;
        continue;
      }
      const difference = DIFFERENCES.findIndex(
        ([, them, us]) =>
          matches(them, theirs) && (matches(us, ours.name) || us === `${ours.name} other bytes`),
      );
      expect(difference, `${vector.name}: theirs ${theirs}, ours ${ours.name}`).toBeGreaterThanOrEqual(0);
      counted[difference]++;
    }
  });

  it('differ as often as listed, and agree otherwise', () => {
    expect(DIFFERENCES.map(([, ...what], row) => [counted[row], ...what])).toEqual(DIFFERENCES);
    expect(agreeing).toBe(1494);
    expect(agreeing + counted.reduce((sum, count) => sum + count)).toBe(2200);
  });
});

interface Outcome {
  readonly name: string;
  readonly action: number;
  readonly bytes: string;
}

function run(vector: Vector): Outcome {
  const isCookie = vector.counters.accepted_packets_total_syn_cookies !== undefined;
  const sockets = new FakeSockets(
    (tuple) =>
      established.has(tuple) ? SocketState.Established : isCookie ? SocketState.Listening : SocketState.None,
    () => true,
  );
  const batch = new PacketBatch({ capacity: 1 });
  batch.push(ipOfFrame(vector.in));
  new Redirector(state, new PathCounters(2), sockets, 1).process(batch);
  return {
    name: VERDICTS[batch.verdict[0]].name,
    action: batch.action[0],
    bytes: Buffer.from(batch.packet(0)).toString('hex'),
  };
}

/** The same end: dropped by both, or let on by both with the same bytes. */
function agrees(vector: Vector, ours: Outcome): boolean {
  if (vector.action === 'drop') return ours.action === Action.Drop;
  const action = vector.action === 'decap' ? Action.Deliver : Action.Send;
  if (vector.action !== 'decap' && vector.action !== 'forward_gue') return false;
  return ours.action === action && ours.bytes === ipOfFrame(vector.out ?? '').toString('hex');
}

function describeTheirs(vector: Vector): string {
  const telling = Object.keys(vector.counters).find((name) => /^(errors|accepted)_/.test(name)) ?? '';
  return `${vector.action} ${telling.replace(/^(errors|accepted_packets)_total_/, '')}`.trim();
}

function matches(pattern: string, text: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}

function groups(): Array<[string, Vector[]]> {
  const byGroup = new Map<string, Vector[]>();
  for (const vector of file.vectors) {
    const group = vector.name.split('/')[0];
    byGroup.set(group, [...(byGroup.get(group) ?? []), vector]);
  }
  return [...byGroup];
}

function hexAddress(text: string): string {
  if (text === '::1') return '00000000000000000000000000000001';
  return Buffer.from(text.split('.').map(Number)).toString('hex');
}
