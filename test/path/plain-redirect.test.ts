import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Owner, PENDING } from '../../src/path/owner.js';
import { judgePlain, NOT_PLAIN } from '../../src/path/plain-redirect.js';
import { Redirector } from '../../src/path/redirector.js';
import { SocketState } from '../../src/path/sockets.js';
import { PathState } from '../../src/path/state.js';
import { VERDICTS, Verdict } from '../../src/path/verdict.js';
import { TCP_ACK } from '../../src/wire/tcp.js';
import { runs } from '../fuzz.js';
import { extended, GUE_PACKETS, generator, mutate, optioned } from './mutants.js';
import { makePacket, wrapPacket } from './packets.js';
import { FakeSockets, pathConfig } from './support.js';

const WEB = { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'] } as const;
const GAME = {
  name: 'game',
  kind: 'udp-flow',
  vips: WEB.vips,
  ports: [{ first: 7000, last: 7999 }],
} as const;
const DNS = {
  name: 'dns',
  kind: 'request-response',
  vips: WEB.vips,
  ports: [{ first: 53, last: 53 }],
} as const;
const STATE = new PathState(pathConfig([WEB, GAME, DNS]));
const WITH_SESSIONS = new PathState(
  pathConfig([WEB, { ...GAME, kind: 'udp-session', sessions: null }, { ...DNS, fragments: 'follow' }]),
);
const STATES = Object.values(SocketState);
const HOP = { hops: ['10.0.3.1'] };

/** What a redirector makes of a batch. @param explains 1: the general way only */
function outcomes(packets: readonly Uint8Array[], state: PathState, explains: 0 | 1) {
  const counters = new PathCounters(3);
  const sockets = new FakeSockets(
    (tuple) => STATES[tuple.length % STATES.length],
    (tuple) => tuple.length % 2 === 0,
  );
  const redirector = new Redirector(state, counters, sockets, packets.length);
  redirector.explains = explains;
  const batch = new PacketBatch({ capacity: packets.length, maxPacket: 512 });
  for (const packet of packets) batch.push(packet);
  redirector.process(batch);
  const counted: number[][] = [];
  counters.forEach((...cell) => {
    counted.push(cell);
  });
  const left = packets.map((_, i) => ({
    verdict: VERDICTS[batch.verdict[i]].name,
    action: batch.action[i],
    trafficset: batch.trafficset[i],
    nextHop: batch.nextHop[i],
    bytes: Buffer.from(batch.packet(i)).toString('hex'),
  }));
  return { left, counted, asked: sockets.asked, syns: sockets.syns };
}

function plainly(packet: Uint8Array, state = STATE): number {
  const batch = new PacketBatch({ capacity: 1, maxPacket: 512 });
  batch.push(packet);
  const owner = new Owner(new FakeSockets(), 1);
  return judgePlain(state, batch, 0, owner, new Int32Array(1), new Int32Array(1));
}

describe('the plain way through the redirector', () => {
  it.each([STATE, WITH_SESSIONS])(
    'ends as the general way does, with mutants of every kind (%#)',
    (state) => {
      const random = generator(0x91a1_0001);
      const seen = new Set<string>();
      for (let batch = 0; batch < runs(400).numRuns; batch++) {
        const packets = Array.from({ length: 64 }, () => {
          const packet = GUE_PACKETS[random(GUE_PACKETS.length)];
          return random(3) === 0 ? packet : mutate(packet, random);
        });
        const plain = outcomes(packets, state, 0);
        expect(plain).toEqual(outcomes(packets, state, 1));
        for (const { verdict } of plain.left) seen.add(verdict);
      }
      for (const verdict of [
        'accept_established',
        'accept_syn',
        'redirect',
        'drop_hop_list',
        'drop_not_ours',
      ]) {
        expect(seen).toContain(verdict);
      }
    },
  );

  it.each([4, 6] as const)('is taken by ordinary TCP and UDP, IPv%i', (version) => {
    const ack = makePacket({ version, flags: TCP_ACK });
    const udp = makePacket({ version, protocol: 'udp', destinationPort: 7001 });
    expect(plainly(wrapPacket(makePacket({ version }), HOP))).toBe(Verdict.AcceptSyn);
    expect(plainly(wrapPacket(ack, HOP))).toBe(PENDING);
    expect(plainly(wrapPacket(ack))).toBe(Verdict.AcceptLastHop);
    expect(plainly(wrapPacket(udp, HOP))).toBe(PENDING);
  });

  it('is left to what is something else', () => {
    const elsewhere = makePacket({ destination: '198.51.100.1', flags: TCP_ACK });
    for (const inner of [extended(), optioned(), elsewhere]) {
      expect(plainly(wrapPacket(inner, HOP))).toBe(NOT_PLAIN);
    }
    const session = makePacket({ protocol: 'udp', destinationPort: 7001 });
    expect(plainly(wrapPacket(session, HOP), WITH_SESSIONS)).toBe(NOT_PLAIN);
  });
});
