import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../../src/path/batch.js';
import { PathCounters } from '../../../src/path/counters.js';
import { ProfiledRedirector } from '../../../src/path/profile/profiled-redirector.js';
import { twohop } from '../../../src/path/profile/redirector-profile.js';
import { siteOf } from '../../../src/path/profile/redirector-site.js';
import { Redirector } from '../../../src/path/redirector.js';
import { SocketState } from '../../../src/path/sockets.js';
import { PathState } from '../../../src/path/state.js';
import { Action, VERDICTS } from '../../../src/path/verdict.js';
import { ipOfFrame, readVectors } from '../../vectors.js';
import { GUE_PACKETS, generator, mutate } from '../mutants.js';
import { FakeSockets, pathConfig } from '../support.js';
import { wrappedPacket } from './wrapped.js';

/** The hot redirector and the model under the profile `twohop` must do the same with everything. */

const WEB = { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'] } as const;
const GAME_PORTS = [{ first: 7000, last: 7999 }];
const DNS_PORTS = [{ first: 53, last: 53 }];
const STATES = [
  pathConfig([
    WEB,
    { name: 'game', kind: 'udp-flow', vips: ['192.0.2.0/25', '2001:db8:100::/64'], ports: GAME_PORTS },
    { name: 'dns', kind: 'request-response', vips: ['192.0.2.0/25', '2001:db8:100::/64'], ports: DNS_PORTS },
  ]),
  pathConfig([{ ...WEB, ports: [{ first: 80, last: 80 }] }]),
  pathConfig([
    { name: 'tcp', kind: 'tcp', vips: ['0.0.0.0/0', '::/0'] },
    { name: 'udp', kind: 'udp-flow', vips: ['0.0.0.0/0', '::/0'] },
  ]),
  pathConfig([{ name: 'elsewhere', kind: 'tcp', vips: ['203.0.113.0/24', '2001:db8:200::/64'] }]),
  pathConfig([WEB, { name: 'all', kind: 'request-response', vips: ['0.0.0.0/0', '::/0'] }], {
    underlay: ['10.0.1.0/24', '10.0.2.0/24'],
  }),
].map((config) => new PathState(config));

interface World {
  readonly state: PathState;
  readonly socket: SocketState;
  readonly cookie: boolean;
}

interface Seen {
  readonly verdict: string;
  readonly action: 'drop' | 'accept' | 'redirect';
  /** What leaves, in hexadecimal. */
  readonly bytes: string;
  readonly nextHop: number;
  readonly trafficset: number;
  readonly asked: readonly string[];
  readonly syns: readonly string[];
}

function socketsOf({ socket, cookie }: World): FakeSockets {
  return new FakeSockets(
    () => socket,
    () => cookie,
  );
}

const batch = new PacketBatch({ capacity: 1, maxPacket: 2048 });
const counters = new PathCounters(8);
const ACTIONS = { [Action.Drop]: 'drop', [Action.Deliver]: 'accept', [Action.Send]: 'redirect' } as const;

function hot(packet: Uint8Array, world: World): Seen {
  const sockets = socketsOf(world);
  batch.clear();
  batch.push(packet);
  new Redirector(world.state, counters, sockets, 1).process(batch);
  const action = ACTIONS[batch.action[0] as Action];
  const verdict = VERDICTS[batch.verdict[0]].name;
  return {
    verdict,
    action,
    bytes: action === 'drop' ? '' : Buffer.from(batch.packet(0)).toString('hex'),
    nextHop: action === 'redirect' ? batch.nextHop[0] : 0,
    // A packet that is not what GUE announces may have been found a trafficset before that was seen.
    trafficset: verdict === 'drop_malformed_ip' ? -1 : batch.trafficset[0],
    asked: sockets.asked,
    syns: sockets.syns,
  };
}

function model(packet: Uint8Array, world: World) {
  const sockets = socketsOf(world);
  const outcome = new ProfiledRedirector(twohop, siteOf(world.state), sockets).process(packet);
  return {
    verdict: outcome.reason,
    action: outcome.action,
    bytes: Buffer.from(outcome.bytes).toString('hex'),
    nextHop: outcome.nextHop,
    trafficset: outcome.trafficset,
    asked: sockets.asked,
    syns: sockets.syns,
  };
}

const SOCKET_STATES = Object.values(SocketState);

describe('profile twohop and the hot redirector', () => {
  it('do the same with the 2,200 packets of the published redirector', () => {
    const { vectors } = readVectors<{ vectors: { name: string; in: string }[] }>('cls-redirect');
    const state = new PathState(
      pathConfig(
        [
          { name: 'tcp', kind: 'tcp', vips: ['0.0.0.0/0', '::/0'] },
          { name: 'udp', kind: 'udp-flow', vips: ['0.0.0.0/0', '::/0'] },
        ],
        { dip: 0x7f000001, port: 1234, underlay: ['0.0.0.0/0'] },
      ),
    );
    for (const vector of vectors) {
      const packet = ipOfFrame(vector.in);
      for (const socket of SOCKET_STATES) {
        const world = { state, socket, cookie: true };
        expect(model(packet, world), vector.name).toEqual(hot(packet, world));
      }
    }
  });

  it('do the same with arbitrary packets, sockets and services', { timeout: 120_000 }, () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        wrappedPacket,
        fc.constantFrom(...STATES),
        fc.constantFrom(...SOCKET_STATES),
        fc.boolean(),
        (packet, state, socket, cookie) => {
          const world = { state, socket, cookie };
          const outcome = hot(packet, world);
          expect(model(packet, world)).toEqual(outcome);
          seen.add(outcome.verdict);
        },
      ),
      { numRuns: 30_000, seed: 20_240_601 },
    );
    // Every verdict of the redirector came up: a property that never gets there proves nothing.
    expect([...seen].sort()).toEqual(REDIRECTOR_VERDICTS);
  });

  it('do the same with mutants of every kind of packet', { timeout: 120_000 }, () => {
    const random = generator(0x7e57_ab1e);
    for (let i = 0; i < 30_000; i++) {
      const packet = mutate(GUE_PACKETS[random(GUE_PACKETS.length)], random);
      const world = {
        state: STATES[random(STATES.length)],
        socket: SOCKET_STATES[random(SOCKET_STATES.length)],
        cookie: random(2) === 0,
      };
      expect(model(packet, world), Buffer.from(packet).toString('hex')).toEqual(hot(packet, world));
    }
  });
});

/** All that the redirector can end with. */
const REDIRECTOR_VERDICTS = [
  'accept_established',
  'accept_icmp',
  'accept_icmp_error',
  'accept_last_hop',
  'accept_self',
  'accept_syn',
  'accept_syn_cookie',
  'drop_fragment',
  'drop_hop_list',
  'drop_icmp_mismatch',
  'drop_lookup_failed',
  'drop_malformed_gue',
  'drop_malformed_icmp',
  'drop_malformed_ip',
  'drop_malformed_transport',
  'drop_not_ours',
  'drop_not_vip',
  'drop_stranger',
  'redirect',
];
