import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { SocketState } from '../../src/path/sockets.js';
import { PathState } from '../../src/path/state.js';
import { Action, VERDICTS, Verdict } from '../../src/path/verdict.js';
import { runs } from '../fuzz.js';
import { GUE_PACKETS, generator, mutate, VIP_PACKETS } from './mutants.js';
import { makePacket } from './packets.js';
import { FakeSockets, OTHER, pathConfig, SELF, THIRD, uniformTable } from './support.js';

/**
 * Hostile bytes through both stages. What must hold for any input: an end with a reason, no exception, no byte
 * outside the packet's own slot read or written, never a packet to ourselves or outside the underlay, never a
 * delivery to a service by a wrapper that is not from the underlay.
 *
 * The seed is fixed, so that a failure can be repeated.
 */

const MUTANTS = 1_000_000;
const table = uniformTable(SELF, OTHER, 64);
for (let b = 0; b < 64; b++) {
  table.slots[2 * b] = [SELF, OTHER, THIRD][b % 3];
  table.slots[2 * b + 1] = [OTHER, SELF, 0][b % 3];
}
const STATE = new PathState(
  pathConfig([
    { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'], table },
    { name: 'game', kind: 'udp-flow', vips: ['192.0.2.0/25'], ports: [{ first: 7000, last: 7999 }], table },
    {
      name: 'dns',
      kind: 'request-response',
      vips: ['192.0.2.0/25'],
      ports: [{ first: 53, last: 53 }],
      table,
    },
  ]),
);

/**
 * Runs packets through one stage in an arena whose bytes around each packet are a known pattern, twice with
 * different patterns: what was read outside the packet would make the two runs differ, what was written there is
 * seen.
 */
class Arena {
  private readonly batch = new PacketBatch({ capacity: 64, maxPacket: 512 });
  private readonly counters = new PathCounters(3);
  private readonly sockets: FakeSockets;
  private readonly stage: Forwarder | Redirector;

  constructor(
    kind: 'forward' | 'redirect',
    private readonly fill: number,
  ) {
    const states = [SocketState.None, SocketState.Established, SocketState.Listening];
    this.sockets = new FakeSockets((tuple) => states[tuple.length % 3]);
    this.stage =
      kind === 'forward'
        ? new Forwarder(STATE, this.counters, this.sockets, 64)
        : new Redirector(STATE, this.counters, this.sockets, 64);
  }

  run(packets: readonly Uint8Array[]): PacketBatch {
    const { batch } = this;
    batch.bytes.fill(this.fill);
    batch.clear();
    for (const packet of packets) batch.push(packet);
    this.stage.process(batch);
    this.sockets.asked.length = 0;
    this.sockets.syns.length = 0;
    return batch;
  }

  /** Problems with packet `index`, which came in as `packet`. */
  check(index: number, packet: Uint8Array): string | null {
    const { batch, fill } = this;
    const verdict = batch.verdict[index];
    if (verdict === 0 || verdict >= VERDICTS.length) return `verdict ${verdict}`;
    const start = batch.payloadOffset(index);
    const offset = batch.offset[index];
    const end = offset + batch.length[index];
    if (batch.action[index] !== Action.Drop) {
      if (offset < start - 40 || end > start + packet.length || batch.length[index] < 20) {
        return `bytes ${offset - start} to ${end - start} of ${packet.length}`;
      }
    }
    if (batch.action[index] === Action.Send) {
      const hop = batch.nextHop[index];
      if (hop === SELF) return 'sent to itself';
      if (!STATE.isUnderlay(hop)) return 'sent outside the underlay';
    }
    const head = start - (batch.action[index] === Action.Send && offset < start ? 40 : 0);
    for (let at = index * batch.slotSize; at < head; at++) {
      if (batch.bytes[at] !== fill) return `wrote ${start - at} bytes in front of the packet`;
    }
    for (let at = start + packet.length; at < (index + 1) * batch.slotSize; at++) {
      if (batch.bytes[at] !== fill) return `wrote ${at - start - packet.length} bytes behind the packet`;
    }
    return null;
  }
}

function fuzz(kind: 'forward' | 'redirect', seeds: readonly Uint8Array[], mutants: number): Set<number> {
  const random = generator(0x2b0b5eed);
  const low = new Arena(kind, 0x00);
  const high = new Arena(kind, 0xff);
  const seen = new Set<number>();
  const packets: Uint8Array[] = [];
  for (let done = 0; done < mutants; done += 64) {
    packets.length = 0;
    while (packets.length < 64) packets.push(mutate(seeds[random(seeds.length)], random));
    const a = low.run(packets);
    const b = high.run(packets);
    for (let i = 0; i < 64; i++) {
      const describe = () => `${kind} ${Buffer.from(packets[i]).toString('hex')}`;
      const problem = low.check(i, packets[i]) ?? high.check(i, packets[i]);
      if (problem !== null) expect.fail(`${problem}: ${describe()}`);
      if (a.verdict[i] !== b.verdict[i] || a.length[i] !== b.length[i] || a.nextHop[i] !== b.nextHop[i]) {
        expect.fail(`depends on bytes outside the packet: ${describe()}`);
      }
      if (a.action[i] !== Action.Drop && Buffer.compare(a.packet(i), b.packet(i)) !== 0) {
        expect.fail(`carries bytes from outside the packet: ${describe()}`);
      }
      seen.add(a.verdict[i]);
    }
  }
  return seen;
}

describe('hostile bytes', () => {
  it(`the forwarder gives each of ${MUTANTS / 2} mutants an end`, { timeout: 300_000 }, () => {
    const seen = fuzz('forward', VIP_PACKETS, MUTANTS / 2);
    // A fuzz that never gets past the first check proves nothing.
    for (const verdict of [Verdict.Forward, Verdict.ForwardIcmpError, Verdict.Redirect, Verdict.AcceptSyn]) {
      expect(seen, VERDICTS[verdict].name).toContain(verdict);
    }
    for (const verdict of [Verdict.DropMalformedIp, Verdict.DropFragment, Verdict.DropMalformedIcmp]) {
      expect(seen, VERDICTS[verdict].name).toContain(verdict);
    }
  });

  it(`the redirector gives each of ${MUTANTS / 2} mutants an end`, { timeout: 300_000 }, () => {
    const seen = fuzz('redirect', GUE_PACKETS, MUTANTS / 2);
    for (const verdict of [
      Verdict.Redirect,
      Verdict.AcceptSyn,
      Verdict.AcceptEstablished,
      Verdict.DropStranger,
    ]) {
      expect(seen, VERDICTS[verdict].name).toContain(verdict);
    }
    for (const verdict of [Verdict.DropHopList, Verdict.DropMalformedGue, Verdict.DropNotVip]) {
      expect(seen, VERDICTS[verdict].name).toContain(verdict);
    }
  });

  it.each([
    ['forward', VIP_PACKETS],
    ['redirect', GUE_PACKETS],
  ] as const)('truncated at every byte: %s', (kind, seeds) => {
    const arenas = [new Arena(kind, 0x00), new Arena(kind, 0xff)];
    for (const seed of seeds) {
      for (let length = 0; length <= seed.length; length++) {
        const packet = seed.subarray(0, length);
        for (const arena of arenas) {
          const batch = arena.run([packet]);
          expect(arena.check(0, packet)).toBeNull();
          const isWhole = length === seed.length;
          expect(batch.action[0] !== Action.Drop, `${kind} ${length} of ${seed.length}`).toBe(isWhole);
        }
      }
    }
  });

  it('random bytes, of any length', () => {
    const forward = new Arena('forward', 0xa5);
    const redirect = new Arena('redirect', 0xa5);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (packet) => {
        forward.run([packet]);
        redirect.run([packet]);
        expect(forward.check(0, packet)).toBeNull();
        expect(redirect.check(0, packet)).toBeNull();
      }),
      runs(2000),
    );
  });

  it('extension headers without end', () => {
    const packet = makePacket({ version: 6, payload: 400 });
    packet[6] = 60;
    for (let at = 40; at < packet.length; at += 8)
      packet.set([60, 0, 1, 4, 0, 0, 0, 0].slice(0, packet.length - at), at);
    const batch = new Arena('forward', 0).run([packet]);
    expect(batch.verdict[0]).toBe(Verdict.DropMalformedIp);
  });
});
