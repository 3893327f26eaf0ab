import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../../src/path/batch.js';
import { PathCounters } from '../../../src/path/counters.js';
import { ProfiledRedirector } from '../../../src/path/profile/profiled-redirector.js';
import { twohop } from '../../../src/path/profile/redirector-profile.js';
import { siteOf } from '../../../src/path/profile/redirector-site.js';
import { Redirector } from '../../../src/path/redirector.js';
import { buildSessions } from '../../../src/path/session-set.js';
import { PathState } from '../../../src/path/state.js';
import { Action, VERDICTS } from '../../../src/path/verdict.js';
import { encodeWireguardInto, wireguardLength } from '../../../src/wire/wireguard.js';
import {
  CLIENT4,
  CLIENT6,
  fragmentsOf,
  makeEsp,
  makePacket,
  makeTooBig,
  makeUdp,
  VIP4,
  VIP6,
  wrapPacket,
} from '../packets.js';
import { FakeSockets, OTHER, pathConfig, SELF, THIRD, uniformTable } from '../support.js';
import { Twins } from './twins.js';

/**
 * Models and hot stages, where dissectors, sessions and fragments matter: the same verdict and the same bytes over long
 * histories, as both remember first fragments.
 */

const SEED = 0x5e5510;
const VIPS = ['192.0.2.0/24', '2001:db8:100::/64'];
const port = (first: number) => [{ first, last: first }];
const table = uniformTable(SELF, OTHER, 64);
for (let bucket = 0; bucket < 64; bucket++) {
  table.slots[2 * bucket] = [SELF, OTHER, THIRD][bucket % 3];
  table.slots[2 * bucket + 1] = [OTHER, 0, SELF, THIRD][bucket % 4];
}
const CLIENTIDS = [1, 2, 0x0a0b0c, 0xffffff];
const sessions = buildSessions([Uint8Array.of(0, 0, 1), Uint8Array.of(0x0a, 0x0b, 0x0c)]);
const configs = [{ config_id: 0, nonce_length: 4, server_ids: { s1: '01', s2: '02', s3: '03' } }];
const config = pathConfig([
  {
    name: 'warp',
    kind: 'udp-session',
    vips: VIPS,
    ports: port(51_820),
    dissector: { name: 'wireguard-clientid', module: null, options: { clear: true } },
    fragments: 'follow',
    sessions,
    table,
  },
  {
    name: 'quic',
    kind: 'udp-session',
    vips: VIPS,
    ports: port(443),
    dissector: { name: 'quic-cid', module: null, options: { configs } },
    fragments: 'follow',
    table: uniformTable(OTHER, SELF),
  },
  {
    name: 'vpn',
    kind: 'udp-session',
    protocols: [17, 50],
    vips: VIPS,
    ports: port(4500),
    dissector: { name: 'ipsec-spi', module: null, options: {} },
    sessions,
    table,
  },
  { name: 'game', kind: 'udp-flow', vips: VIPS, ports: port(7000), fragments: 'follow', table },
  {
    name: 'dns',
    kind: 'request-response',
    vips: VIPS,
    ports: port(53),
    dissector: { name: 'two-tuple', module: null, options: {} },
    fragments: 'follow',
    table,
  },
  { name: 'web', kind: 'tcp', vips: VIPS, fragments: 'follow', table },
]);

const version = fc.constantFrom(4 as const, 6 as const);
const sourcePort = fc.constantFrom(1, 2, 3, 40_000);

const wireguard = fc
  .tuple(version, sourcePort, fc.constantFrom(1, 2, 3, 4), fc.constantFrom(0, ...CLIENTIDS), fc.nat(200))
  .map(([v, source, type, clientid, more]) => {
    const length = wireguardLength(type) + (type === 4 ? more : 0);
    const bytes = new Uint8Array(length);
    encodeWireguardInto(new DataView(bytes.buffer), 0, type, clientid, new Uint8Array(length - 4).fill(7));
    return makeUdp(bytes, { version: v, sourcePort: source, destinationPort: 51_820 });
  });
const quic = fc
  .tuple(version, sourcePort, fc.constantFrom(0x40, 0x00, 0xe0, 0xc0), fc.nat(4), fc.nat(60))
  .map(([v, source, first, server, more]) => {
    const id = [0, server, 9, 9, 9, 9];
    const head = first < 0x80 ? [first, ...id] : [first, 0, 0, 0, 1, id.length, ...id, 0];
    return makeUdp(Uint8Array.from([...head, ...new Array<number>(more).fill(5)]), {
      version: v,
      sourcePort: source,
      destinationPort: 443,
    });
  });
const ipsec = fc
  .tuple(version, fc.boolean(), fc.constantFrom(0, 0x0a, 0xff), fc.nat(30))
  .map(([v, isUdp, first, more]) => {
    const data = Uint8Array.from([first, 0x0b, 0x0c, 1, ...new Array<number>(more).fill(3)]);
    return isUdp ? makeUdp(data, { version: v, destinationPort: 4500 }) : makeEsp(data, { version: v });
  });
const other = fc
  .tuple(
    version,
    sourcePort,
    fc.constantFrom('tcp' as const, 'udp' as const),
    fc.constantFrom(53, 7000, 80, 9),
    fc.nat(100),
  )
  .map(([v, source, protocol, destinationPort, payload]) =>
    makePacket({ version: v, protocol, sourcePort: source, destinationPort, flags: 0x10, payload }),
  );
const plain = fc.oneof(wireguard, quic, ipsec, other);
const errors = fc
  .tuple(version, fc.constantFrom(51_820, 443, 4500, 7000, 53, 80), fc.boolean(), fc.boolean())
  .map(([v, from, isUdp, isEsp]) => {
    const [source, destination] = v === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
    const quoted = isEsp
      ? makeEsp(new Uint8Array(60), { version: v, source, destination })
      : makePacket({
          version: v,
          protocol: isUdp ? 'udp' : 'tcp',
          source,
          destination,
          sourcePort: from,
          payload: 60,
        });
    return makeTooBig(quoted, 1300);
  });
const fragments = fc
  .tuple(plain, fc.constantFrom(8, 16, 40, 64), fc.nat(2), fc.nat(3))
  .map(([packet, size, id, which]) => {
    const pieces = fragmentsOf(packet, size, id);
    return pieces[which % pieces.length];
  });
const damage = fc.array(
  fc.tuple(fc.nat(120), fc.oneof(fc.constantFrom(0, 1, 4, 17, 50, 0x20, 255), fc.nat(255))),
  {
    maxLength: 2,
  },
);
const packets = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: plain },
      { weight: 3, arbitrary: fragments },
      { weight: 1, arbitrary: errors },
    ),
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: damage }),
  )
  .map(([packet, changes]) => {
    const bytes = Uint8Array.from(packet);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

/** Hot redirector and model, side by side, with what they remember. */
class RedirectorTwins {
  readonly seen = new Set<string>();
  private readonly state = new PathState(config);
  private readonly batch = new PacketBatch({ capacity: 1 });
  private readonly hot = new Redirector(this.state, new PathCounters(6), new FakeSockets(), 1);
  private readonly slow = new ProfiledRedirector(twohop, siteOf(this.state), new FakeSockets());

  compare(packet: Uint8Array): void {
    const { batch } = this;
    batch.clear();
    batch.push(packet);
    this.hot.process(batch);
    const outcome = this.slow.process(packet);
    const isDrop = batch.action[0] === Action.Drop;
    const hot = {
      verdict: VERDICTS[batch.verdict[0]].name,
      nextHop: batch.action[0] === Action.Send ? batch.nextHop[0] : 0,
      bytes: isDrop ? '' : Buffer.from(batch.packet(0)).toString('hex'),
    };
    const slow = {
      verdict: outcome.reason,
      nextHop: outcome.nextHop,
      bytes: Buffer.from(outcome.bytes).toString('hex'),
    };
    expect(slow, Buffer.from(packet).toString('hex')).toEqual(hot);
    this.seen.add(hot.verdict);
  }
}

describe('where dissectors, sessions and fragments matter', () => {
  it('the model of the forwarder is the hot forwarder', { timeout: 120_000 }, () => {
    const twins = new Twins(config);
    const seen = new Set<string>();
    fc.assert(
      fc.property(packets, (packet) => {
        const { outcome, difference } = twins.run(packet);
        if (difference !== null) expect.fail(difference);
        seen.add(outcome.reason);
      }),
      { numRuns: 20_000, seed: SEED, endOnFailure: true },
    );
    expect([...seen].sort()).toEqual(
      expect.arrayContaining([
        'accept_icmp_error',
        'accept_named',
        'accept_session',
        'drop_dissector',
        'drop_fragment',
        'drop_fragment_unknown',
        'forward',
        'forward_icmp_error',
        'forward_icmp_everywhere',
        'forward_named',
        'pass_no_service',
        'redirect',
      ]),
    );
  });

  it('the model of the redirector is the hot redirector', { timeout: 120_000 }, () => {
    const twins = new RedirectorTwins();
    const hops = fc.constantFrom<string[]>([], ['10.0.3.1'], ['10.0.1.1'], ['203.0.113.9'], ['0.0.0.0']);
    fc.assert(
      fc.property(packets, hops, (packet, list) => twins.compare(wrapPacket(packet, { hops: list }))),
      { numRuns: 20_000, seed: SEED, endOnFailure: true },
    );
    expect([...twins.seen].sort()).toEqual(
      expect.arrayContaining([
        'accept_icmp_error',
        'accept_last_hop',
        'accept_self',
        'accept_session',
        'drop_dissector',
        'drop_fragment',
        'drop_fragment_unknown',
        'drop_hop_list',
        'drop_not_vip',
        'redirect',
      ]),
    );
  });
});
