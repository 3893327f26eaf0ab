import { describe, expect, it } from 'vitest';
import { DISSECT_DROP, DISSECT_FALLBACK, type FlowDissector } from '../../../src/flow/dissector.js';
import { FORWARD_REASONS } from '../../../src/path/profile/forward-reason.js';
import {
  FORWARDER_PROFILES,
  type ForwarderProfile,
  github,
  twohop,
} from '../../../src/path/profile/forwarder-profile.js';
import {
  type ForwarderService,
  type ForwarderSite,
  forwarderSiteOf,
} from '../../../src/path/profile/forwarder-site.js';
import { type ForwardOutcome, ProfiledForwarder } from '../../../src/path/profile/profiled-forwarder.js';
import { PathState } from '../../../src/path/state.js';
import { verifyTransportChecksum } from '../../../src/wire/checksum.js';
import { IP_PROTOCOL_ESP, IpPacket } from '../../../src/wire/ip.js';
import { TCP_ACK } from '../../../src/wire/tcp.js';
import { CLIENT4, CLIENT6, makePacket, makeTooBig, VIP4, VIP6, wrapPacket } from '../packets.js';
import { FakeSockets, OTHER, pathConfig, SELF, THIRD, uniformTable } from '../support.js';

/** Each field of a profile decides what it says, and nothing else does. */

const SITE = forwarderSiteOf(
  new PathState(
    pathConfig([
      {
        name: 'web',
        kind: 'tcp',
        vips: ['192.0.2.0/25', '2001:db8:100::/64'],
        table: uniformTable(OTHER, THIRD),
      },
      { name: 'own', kind: 'tcp', vips: ['192.0.2.128/25'], table: uniformTable(SELF, OTHER) },
      {
        name: 'vpn',
        kind: 'udp-session',
        protocols: [IP_PROTOCOL_ESP],
        vips: ['192.0.2.0/25'],
        table: uniformTable(OTHER, 0),
      },
    ]),
  ),
);

function run(
  profile: ForwarderProfile,
  packet: Uint8Array,
  announced: 4 | 6 | null = null,
  site: ForwarderSite = SITE,
): ForwardOutcome {
  return new ProfiledForwarder(profile, site, new FakeSockets()).process(packet, announced);
}

/** A copy with bytes written over it. */
function patched(packet: Uint8Array, ...changes: readonly (readonly [number, number])[]): Uint8Array {
  const copy = Uint8Array.from(packet);
  for (const [at, value] of changes) copy[at] = value;
  return copy;
}

/** Twelve bytes of options behind an IPv4 header, all no-ops. */
function withOptions(plain: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from([
    ...plain.subarray(0, 20),
    ...new Array<number>(12).fill(1),
    ...plain.subarray(20),
  ]);
  bytes[0] = 0x48;
  new DataView(bytes.buffer).setUint16(2, bytes.length);
  return bytes;
}

function reply(version: 4 | 6): Uint8Array {
  const [source, destination] = version === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
  return makePacket({ version, source, destination, sourcePort: 80, destinationPort: 40_000 });
}

const plain = makePacket();
const error = makeTooBig(reply(4), 1300);
const shortError = makeTooBig(reply(4), 1300, 8);
const echo = patched(error, [20, 8]);
const fragment = patched(plain, [6, 0x20]);
const stranger = makePacket({ destination: '203.0.113.9' });
const MTU = { ...SITE, mtu: plain.length + 20 };

interface Case {
  readonly field: string;
  readonly packet: Uint8Array;
  readonly change: Partial<ForwarderProfile>;
  /** What becomes of it with the profile `twohop`, and with that one field changed. */
  readonly before: string;
  readonly after: string;
  readonly announced?: 4 | 6;
  readonly site?: ForwarderSite;
}

const CASES: readonly Case[] = [
  {
    field: 'version',
    packet: patched(plain, [0, 0x25]),
    announced: 4,
    change: { version: 'link-layer' },
    before: 'drop_malformed_ip',
    after: 'forward',
  },
  {
    field: 'ipLength',
    packet: plain.subarray(0, 40),
    change: { ipLength: 'trusted' },
    before: 'drop_malformed_ip',
    after: 'forward',
  },
  {
    field: 'transportChecked',
    packet: patched(plain, [32, 0xf0]),
    change: { transportChecked: 'fixed-part' },
    before: 'drop_malformed_transport',
    after: 'forward',
  },
  {
    field: 'ipv4Options',
    packet: withOptions(plain),
    change: { ipv4Options: 'dropped' },
    before: 'forward',
    after: 'drop_options',
  },
  {
    field: 'esp',
    packet: patched(plain, [9, IP_PROTOCOL_ESP]),
    change: { esp: 'as-other-protocols' },
    before: 'forward',
    after: 'pass_no_service',
  },
  {
    field: 'fragments',
    packet: patched(stranger, [6, 0x20]),
    change: { fragments: 'dropped' },
    before: 'pass_not_vip',
    after: 'drop_fragment',
  },
  {
    field: 'fragments',
    packet: fragment,
    change: { fragments: 'carried' },
    before: 'drop_fragment',
    after: 'forward',
  },
  {
    field: 'unreadable',
    packet: plain.subarray(0, 19),
    change: { unreadable: 'pass' },
    before: 'drop_malformed_ip',
    after: 'pass_unreadable',
  },
  {
    field: 'unreadableForOthers',
    packet: patched(stranger, [32, 0xf0]),
    change: { unreadableForOthers: 'alike' },
    before: 'pass_not_vip',
    after: 'drop_malformed_transport',
  },
  {
    field: 'icmpHeader',
    packet: patched(echo.subarray(0, 24), [3, 24]),
    change: { icmpHeader: { ipv4: 4, ipv6: 4 } },
    before: 'drop_malformed_icmp',
    after: 'pass_icmp',
  },
  {
    field: 'icmpErrors',
    packet: error,
    change: { icmpErrors: { ipv4: [11], ipv6: [] } },
    before: 'forward_icmp_error',
    after: 'pass_icmp',
  },
  {
    field: 'icmpDestination',
    packet: patched(error, [19, 11]),
    change: { icmpDestination: 'ignored' },
    before: 'drop_icmp_mismatch',
    after: 'forward_icmp_error',
  },
  {
    field: 'icmpDestination',
    packet: patched(error, [16, 203]),
    change: { icmpDestination: 'ignored' },
    before: 'pass_not_vip',
    after: 'forward_icmp_error',
  },
  {
    field: 'quotedTransport',
    packet: shortError,
    change: { quotedTransport: 'fixed-part' },
    before: 'forward_icmp_error',
    after: 'drop_malformed_icmp',
  },
  {
    field: 'quotedFragments',
    packet: patched(error, [35, 9]),
    change: { quotedFragments: 'taken-for-whole' },
    before: 'drop_fragment',
    after: 'forward_icmp_error',
  },
  {
    field: 'echoRequests',
    packet: echo,
    change: { echoRequests: 'answered' },
    before: 'pass_icmp',
    after: 'answer_echo',
  },
  {
    field: 'otherIcmp',
    packet: echo,
    change: { otherIcmp: 'forward' },
    before: 'pass_icmp',
    after: 'pass_no_service',
  },
  {
    field: 'firstHopIsSelf',
    packet: makePacket({ destination: '192.0.2.200', flags: TCP_ACK }),
    change: { firstHopIsSelf: 'send' },
    before: 'redirect',
    after: 'forward',
  },
  {
    field: 'mtu',
    packet: plain,
    site: MTU,
    change: { mtu: 'of-received' },
    before: 'drop_too_big',
    after: 'forward',
  },
  {
    field: 'mtu',
    packet: makePacket({ payload: 100 }),
    site: MTU,
    change: { mtu: 'of-received' },
    before: 'drop_too_big',
    after: 'drop_too_big',
  },
  {
    field: 'mtu',
    packet: makePacket({ payload: 100 }),
    site: MTU,
    change: { mtu: 'ignored' },
    before: 'drop_too_big',
    after: 'forward',
  },
];

/** Fields with tests of their own below; the hash is what the vectors are about. */
const ELSEWHERE = [
  'transportHeader',
  'otherProtocols',
  'keyFields',
  'alternativeKeyFields',
  'hash',
  'sourcePort',
  'udpChecksum',
  'padding',
];

describe('a field of a forwarder profile', () => {
  it('is tested here, whichever it is', () => {
    const tested = new Set([...CASES.map(({ field }) => field), ...ELSEWHERE]);
    expect([...tested].sort()).toEqual(Object.keys(twohop).sort());
  });

  it.each(CASES)('$field: $before becomes $after', ({ packet, change, before, after, announced, site }) => {
    const outcome = run(twohop, packet, announced, site);
    expect(outcome.reason).toBe(before);
    const changed = run({ ...twohop, ...change }, packet, announced, site);
    expect(changed.reason).toBe(after);
    for (const { reason, action, steps } of [outcome, changed]) {
      expect(action).toBe(FORWARD_REASONS[reason].action);
      expect(steps.length).toBeGreaterThan(0);
    }
  });

  it('transportHeader: where the ports are read', () => {
    const fixed: ForwarderProfile = { ...twohop, transportHeader: 'fixed-offset', transportChecked: 'ports' };
    const key = (profile: ForwarderProfile, packet: Uint8Array) =>
      Buffer.from(run(profile, packet).key).toString('hex');
    expect(key(twohop, withOptions(plain)).slice(16)).toBe('9c400050');
    expect(key(fixed, withOptions(plain)).slice(16)).toBe('01010101');
    expect(key(fixed, plain)).toBe(key(twohop, plain));
  });

  it('keyFields, alternativeKeyFields: what is hashed, and how many hops that makes', () => {
    const profile: ForwarderProfile = { ...twohop, keyFields: ['destination-port', 'source-address'] };
    const both: ForwarderProfile = { ...profile, alternativeKeyFields: ['source-port'] };
    expect(Buffer.from(run(profile, plain).key).toString('hex')).toBe('0050c6336407');
    expect(run(profile, plain).hops).toEqual([OTHER, THIRD]);
    const { hops, bytes, hash } = run(both, plain);
    expect([hops, hash]).toEqual([[OTHER, THIRD, OTHER, THIRD], run(profile, plain).hash]);
    // GUE header length and hop count: three hops behind the first.
    expect([bytes[28], bytes[35], bytes.length]).toEqual([4, 3, plain.length + 48]);
    expect(Buffer.from(run(twohop, makePacket({ version: 6 })).key)).toHaveLength(36);
  });

  it('sourcePort: which bits of the hash spread the flow', () => {
    const port = ({ bytes }: ForwardOutcome) => (bytes[20] << 8) | bytes[21];
    const outcome = run(twohop, plain);
    const hash = Number.parseInt(outcome.hash, 16);
    expect(port(outcome)).toBe(0x8000 | (hash >>> 17));
    const hinted = run({ ...twohop, sourcePort: 'lower-hash-bits-and-hint' }, plain);
    expect(port(hinted)).toBe(0x8000 | ((hash ^ 40_000) & 0x7fff));
  });

  it('udpChecksum: filled, it is right', () => {
    const packet = new IpPacket();
    for (const payload of [4, 5]) {
      const { bytes } = run({ ...twohop, udpChecksum: 'filled' }, makePacket({ payload }));
      packet.parse(new DataView(bytes.buffer), 0, bytes.length);
      expect((bytes[26] << 8) | bytes[27]).not.toBe(0);
      expect(verifyTransportChecksum(packet)).toBe(0);
      expect(run(twohop, makePacket({ payload })).bytes.subarray(26, 28)).toEqual(Uint8Array.of(0, 0));
    }
  });

  it('padding: cut, or carried behind the end that the lengths tell', () => {
    const padded = Uint8Array.from([...plain, 1, 2, 3]);
    expect(run(twohop, padded).bytes).toEqual(run(twohop, plain).bytes);
    const carried = run({ ...twohop, padding: 'carried' }, padded).bytes;
    expect(carried).toEqual(Uint8Array.from([...run(twohop, plain).bytes, 1, 2, 3]));
  });

  it('otherIcmp, otherProtocols: forwarded where somebody serves them', () => {
    const everything: ForwarderSite = {
      ...SITE,
      serviceOf: (version, data, offset) => SITE.serviceOf(version, data, offset, 6, 80),
    };
    const forwarding: ForwarderProfile = {
      ...twohop,
      otherIcmp: 'forward',
      otherProtocols: 'forward',
      transportChecked: 'ports',
    };
    const outcome = run(forwarding, echo, null, everything);
    expect(outcome.reason).toBe('forward');
    expect(Buffer.from(outcome.key).subarray(8).toString('hex')).toBe('00000000');
    expect(run(forwarding, patched(plain, [9, 132]), null, everything).reason).toBe('forward');
    // The hint of ICMP is the identification, or the low bits of the flow label.
    const six = patched(makeTooBig(reply(6), 1300), [40, 128], [1, 0x0a], [2, 0xbe], [3, 0xef]);
    const hinted: ForwarderProfile = { ...forwarding, sourcePort: 'lower-hash-bits-and-hint' };
    const { bytes, hash } = run(hinted, six, null, everything);
    expect((bytes[20] << 8) | bytes[21]).toBe(0x8000 | ((Number.parseInt(hash, 16) ^ 0xbeef) & 0x7fff));
  });
});

describe('the model of the forwarder', () => {
  it('says in sentences what it looked at', () => {
    expect(run(twohop, plain).steps.map(({ what, because }) => `${what}, because ${because}`)).toEqual([
      'The packet is IPv4 with TCP, because its header says so: 44 bytes from 198.51.100.7 to 192.0.2.10',
      'The packet is for web, because that serves 192.0.2.10, port 80',
      expect.stringMatching(
        /^The hash is [0-9a-f]{8}, because that is halfsiphash-2-4 of the key c6336407c000020a9c400050$/,
      ),
      expect.stringMatching(
        /^Row \d+ names 10\.0\.2\.1, then 10\.0\.3\.1, because it is the hash modulo the table's 16 rows$/,
      ),
      expect.stringMatching(
        /^The packet is wrapped and sent to 10\.0\.2\.1, because that is where TCP 198\.51\.100\.7:40000 to 192\.0\.2\.10:80 belongs; it leaves with 84 bytes, from port \d+$/,
      ),
    ]);
    const [first, second, third] = run(twohop, patched(error, [19, 11])).steps;
    expect([first.what, second.what, third.because]).toEqual([
      'The packet is IPv4 with ICMP',
      'The packet goes where the flow goes that it quotes',
      'it went to 192.0.2.11 and quotes a packet from 192.0.2.10',
    ]);
  });

  it('asks the dissector of a service, and not for ICMP errors', () => {
    const service = SITE.serviceOf(4, new DataView(plain.buffer), 16, 6, 80);
    if (typeof service === 'string') throw new Error(service);
    const answers: Record<number, number> = { 80: 3, 81: DISSECT_FALLBACK, 82: DISSECT_DROP };
    const dissector: FlowDissector = {
      name: 'port-only',
      dissect: (_, flow, key) => {
        key.bytes.set([1, 2, 3]);
        return answers[flow.destinationPort];
      },
    };
    const own: ForwarderService = { ...service, dissector };
    const site: ForwarderSite = { ...SITE, serviceOf: () => own };
    const key = (packet: Uint8Array) => Buffer.from(run(twohop, packet, null, site).key).toString('hex');
    expect(key(plain)).toBe('010203');
    expect(key(makePacket({ destinationPort: 81 }))).toHaveLength(24);
    expect(run(twohop, makePacket({ destinationPort: 82 }), null, site).reason).toBe('drop_dissector');
    // The quoted packet is a reply: without a key of its own for those, it goes to every server.
    expect(run(twohop, error, null, site).reason).toBe('forward_icmp_everywhere');
    const quotable = {
      ...own,
      dissector: { ...dissector, dissectQuoted: dissector.dissect.bind(null, new IpPacket()) },
    };
    const answering: ForwarderSite = { ...SITE, serviceOf: () => quotable };
    expect(Buffer.from(run(twohop, error, null, answering).key).toString('hex')).toBe('010203');
  });

  it('gives every packet an end under every profile', () => {
    const packets = [
      plain,
      error,
      shortError,
      echo,
      fragment,
      stranger,
      withOptions(plain),
      wrapPacket(plain),
      makePacket({ version: 6 }),
      makeTooBig(reply(6), 1300),
      new Uint8Array(0),
    ];
    for (const profile of Object.values(FORWARDER_PROFILES)) {
      const site = { ...SITE, serviceOf: profile.hash === 'siphash-2-4' ? longKey : SITE.serviceOf };
      for (const packet of packets) {
        for (let length = 0; length <= packet.length; length++) {
          for (const announced of [4, 6, null] as const) {
            const { reason, steps } = run(profile, packet.subarray(0, length), announced, site);
            expect(FORWARD_REASONS).toHaveProperty(reason);
            expect(steps.length).toBeGreaterThan(0);
          }
        }
      }
    }
  });

  it('copies a length that is trusted, whatever it is, and sums up what is there', () => {
    const site = { ...SITE, serviceOf: longKey };
    const lying = patched(plain, [2, 0xff], [3, 0xff]);
    const { bytes } = run({ ...github, udpChecksum: 'filled' }, lying, 4, site);
    expect((bytes[2] << 8) | bytes[3]).toBe((0xffff + 40) & 0xffff);
    expect(bytes).toHaveLength(plain.length + 40);
  });
});

/** The same services with a key of 16 bytes. */
function longKey(...asked: Parameters<ForwarderSite['serviceOf']>): ReturnType<ForwarderSite['serviceOf']> {
  const service = SITE.serviceOf(...asked);
  return typeof service === 'string' ? service : { ...service, hashKey: new Uint8Array(16) };
}
