import { describe, expect, it } from 'vitest';
import { ProfiledRedirector } from '../../../src/path/profile/profiled-redirector.js';
import { github, type RedirectorProfile, twohop } from '../../../src/path/profile/redirector-profile.js';
import { siteOf } from '../../../src/path/profile/redirector-site.js';
import { SocketState } from '../../../src/path/sockets.js';
import { PathState } from '../../../src/path/state.js';
import { checksum } from '../../../src/wire/checksum.js';
import { TCP_ACK, TCP_FIN } from '../../../src/wire/tcp.js';
import { extended, reply } from '../mutants.js';
import { makePacket, makeTooBig, type WrapSpec, wrapPacket } from '../packets.js';
import { FakeSockets, pathConfig, THIRD } from '../support.js';

/** GitHub's redirector as its published source reads (`ipt_GLBREDIRECT.c`), one difference after the other. */

/** A site that would refuse strangers and what it does not serve, if it were asked. */
const SITE = siteOf(new PathState(pathConfig([{ name: 'web', kind: 'tcp', vips: ['192.0.2.0/24'] }])));
const NEXT: WrapSpec = { hops: ['10.0.3.1'] };
const ack = makePacket({ flags: TCP_ACK });
const ack6 = makePacket({ version: 6, flags: TCP_ACK });
const udp = makePacket({ protocol: 'udp' });

function run(packet: Uint8Array, sockets = new FakeSockets(), profile: RedirectorProfile = github) {
  return new ProfiledRedirector(profile, SITE, sockets).process(packet);
}
const reasonOf = (packet: Uint8Array, sockets?: FakeSockets) => run(packet, sockets).reason;
const established = () => new FakeSockets(() => SocketState.Established);
const cookies = () =>
  new FakeSockets(
    () => SocketState.Listening,
    () => true,
  );

/** A copy with some bytes replaced: offset, values. */
function altered(packet: Uint8Array, ...changes: readonly [number, ...number[]][]): Uint8Array {
  const copy = Uint8Array.from(packet);
  for (const [at, ...values] of changes) copy.set(values, at);
  return copy;
}

/** In a wrapper with one hop. */
const INNER = 40;
const wrapped = wrapPacket(ack, NEXT);

describe('the wrapper', () => {
  it('is left alone when it is for somebody else', () => {
    for (const packet of [
      wrapPacket(ack, { port: 6081 }),
      wrapPacket(ack, { destination: '10.0.9.9' }),
      altered(wrapped, [9, 6]),
      altered(wrapPacket(ack, { destination: '10.0.9.9' }), [6, 0x20]),
    ]) {
      expect(run(packet)).toMatchObject({ action: 'pass', reason: 'pass_not_ours', bytes: packet });
    }
  });

  it('has been checked by the kernel: lengths, options, fragments', () => {
    expect(reasonOf(altered(wrapped.subarray(0, 30), [3, 30]))).toBe('drop_malformed_gue');
    expect(reasonOf(wrapped.subarray(0, wrapped.length - 1))).toBe('drop_malformed_gue');
    expect(reasonOf(altered(wrapped, [6, 0x20]))).toBe('drop_fragment');
    const options = Uint8Array.from([...wrapped.subarray(0, 20), 1, 1, 1, 1, ...wrapped.subarray(20)]);
    expect(reasonOf(altered(options, [0, 0x46], [3, options.length]))).toBe('redirect');
  });

  it.each([
    ['the UDP length', [24, 0xff, 0xff]],
    ['the GUE variant', [28, 0x82]],
    ['the control bit', [28, 0x22]],
    ['the GUE flags', [30, 0x12, 0x34]],
    ['the version of the private data', [32, 0x10]],
    ['the unused bits', [32, 0x03]],
    ['the reserved byte', [33, 0x55]],
    ['the bit for GRE', [32, 0x04]],
    ['the source address', [12, 192, 168, 0, 1]],
  ] as const)('is taken whatever it says: %s', (_what, change) => {
    const outcome = run(altered(wrapped, [...change]));
    expect(outcome).toMatchObject({ action: 'redirect', nextHop: THIRD });
  });

  it('may have 30 hops, to any address, and a next hop beyond the list', () => {
    const hops = ['10.0.9.1', '10.0.9.2', '10.0.9.3', '10.0.3.1', '10.0.9.4', '10.0.9.5'];
    expect(run(wrapPacket(ack, { hops, nextHop: 3 })).nextHop).toBe(THIRD);
    expect(run(wrapPacket(ack, { hops: ['203.0.113.9'] })).nextHop).toBe(0xcb007109);
    expect(run(wrapPacket(ack, { hops: ['0.0.0.0'] }))).toMatchObject({ action: 'redirect', nextHop: 0 });
    expect(reasonOf(wrapPacket(ack, { ...NEXT, nextHop: 7 }))).toBe('accept_last_hop');
  });
});

describe('the inner packet', () => {
  it('is read at the last hop too', () => {
    expect(reasonOf(wrapPacket(ack.subarray(0, 30)))).toBe('drop_malformed_transport');
    expect(reasonOf(altered(wrapPacket(ack), [29, 99]))).toBe('drop_malformed_ip');
  });

  it.each([
    ['version', [INNER, 0x75]],
    ['length', [INNER + 2, 0xff, 0xff]],
    ['TCP data offset', [INNER + 32, 0x00]],
    ['IPv4 fragment', [INNER + 6, 0x20, 0x00]],
  ] as const)('is taken with any %s', (_what, change) => {
    const packet = altered(wrapped, [...change]);
    expect(run(packet, established())).toMatchObject({ action: 'accept', reason: 'accept_established' });
  });

  it('may have an IPv4 header shorter than can be', () => {
    // A header length of 0: what is read as TCP flags is the second byte of the client's address.
    const packet = altered(wrapped, [INNER, 0x40]);
    expect(reasonOf(altered(packet, [INNER + 13, 0x02]))).toBe('accept_syn');
    expect(reasonOf(altered(packet, [INNER + 13, 0x10]))).toBe('redirect');
  });

  it('has no extension headers', () => {
    expect(reasonOf(wrapPacket(extended(), NEXT))).toBe('drop_unknown_protocol');
    const atomic = Uint8Array.from([...ack6.subarray(0, 40), 6, 0, 0, 0, 0, 0, 0, 1, ...ack6.subarray(40)]);
    const packet = altered(atomic, [4, 0, atomic.length - 40, 44]);
    expect(reasonOf(wrapPacket(packet, NEXT))).toBe('drop_unknown_protocol');
  });

  it('is for any address and port', () => {
    expect(reasonOf(wrapPacket(makePacket({ destination: '203.0.113.5' })))).toBe('accept_syn');
  });

  it('is taken in unread when it is UDP', () => {
    const sockets = new FakeSockets();
    expect(reasonOf(wrapPacket(udp, NEXT), sockets)).toBe('accept_udp');
    expect(reasonOf(wrapPacket(udp.subarray(0, 22), NEXT), sockets)).toBe('accept_udp');
    expect(sockets.asked).toEqual([]);
  });
});

describe('ICMP', () => {
  const about = (version: 4 | 6, overrides = {}) => makeTooBig(reply(version, overrides), 1300);
  /** Offsets in a wrapped error of IPv4: ICMP type, and the quoted header. */
  const TYPE = INNER + 20;
  const QUOTE = TYPE + 8;

  it.each([4, 6] as const)('"too big" follows the flow it quotes, over IPv%i', (version) => {
    const packet = wrapPacket(about(version), NEXT);
    expect(reasonOf(packet)).toBe('redirect');
    expect(reasonOf(packet, established())).toBe('accept_icmp_error');
    expect(reasonOf(packet, cookies())).toBe('redirect');
  });

  it.each([
    ['echo reply', 0],
    ['echo request', 8],
    ['time exceeded', 11],
    ['timestamp', 13],
  ])('%s is taken in by the first server, and no socket asked', (_what, type) => {
    const sockets = established();
    expect(reasonOf(altered(wrapPacket(about(4), NEXT), [TYPE, type]), sockets)).toBe('accept_icmp');
    expect(sockets.asked).toEqual([]);
  });

  it('quotes TCP, whatever it quotes', () => {
    const sockets = established();
    expect(reasonOf(wrapPacket(about(4, { protocol: 'udp' }), NEXT), sockets)).toBe('accept_icmp_error');
    expect(reasonOf(altered(wrapPacket(about(4), NEXT), [QUOTE + 9, 99]), sockets)).toBe('accept_icmp_error');
    expect(sockets.asked.map((tuple) => tuple.slice(0, 3))).toEqual(['tcp', 'tcp']);
  });

  it.each([
    ['to anybody', [INNER + 16, 203, 0, 113, 77]],
    ['with any quoted version', [QUOTE, 0x75]],
    ['with any quoted length', [QUOTE + 2, 0, 1]],
    ['about a later fragment', [QUOTE + 6, 0x00, 0x10]],
  ] as const)('is taken %s', (_what, change) => {
    expect(reasonOf(altered(wrapPacket(about(4), NEXT), [...change]), established())).toBe(
      'accept_icmp_error',
    );
  });
});

describe('the decision', () => {
  it('takes in every SYN, although the wrapper asks that it goes on', () => {
    expect(reasonOf(altered(wrapPacket(makePacket(), NEXT), [32, 0x08]))).toBe('accept_syn');
  });

  it('asks the sockets before it looks whether there is a next hop', () => {
    expect(reasonOf(wrapPacket(ack), established())).toBe('accept_established');
    expect(reasonOf(wrapPacket(ack), cookies())).toBe('accept_syn_cookie');
    expect(reasonOf(wrapPacket(ack))).toBe('accept_last_hop');
    expect(reasonOf(wrapPacket(ack, { hops: ['10.0.1.1'] }), established())).toBe('accept_established');
  });

  it('takes in what would go to this server', () => {
    expect(reasonOf(wrapPacket(ack, { hops: ['10.0.1.1'] }))).toBe('accept_self');
  });

  it('knows no cookie with a FIN', () => {
    expect(reasonOf(wrapped, cookies())).toBe('accept_syn_cookie');
    expect(reasonOf(wrapPacket(makePacket({ flags: TCP_ACK | TCP_FIN }), NEXT), cookies())).toBe('redirect');
  });
});

describe('what leaves', () => {
  it('is cut by the outer length, not by the inner one', () => {
    const longer = Uint8Array.from([...ack, 1, 2, 3]);
    expect(run(wrapPacket(longer)).bytes).toEqual(longer);
    const trailing = Uint8Array.from([...wrapped, 9, 9, 9]);
    expect(run(trailing).bytes).toHaveLength(wrapped.length);
  });

  it('has a right header checksum, even if it came with a wrong one', () => {
    const { bytes } = run(altered(wrapped, [10, 0xde, 0xad]));
    expect(checksum(new DataView(bytes.buffer), 0, 20)).toBe(0);
  });

  it('has a UDP checksum that follows, and can end as "none"', () => {
    const following = (before: number, profile: RedirectorProfile = github) => {
      const packet = altered(wrapped, [26, before >>> 8, before & 0xff]);
      return new DataView(run(packet, new FakeSockets(), profile).bytes.buffer).getUint16(26);
    };
    const ours = { ...github, udpChecksum: twohop.udpChecksum };
    for (const before of [0, 1, 0x1234, 0xffff]) expect(following(before)).toBe(following(before, ours));
    // One's complement: the distance from before to after is always the same.
    const critical = (0xffff + 1 - following(1)) % 0xffff;
    expect(following(critical)).toBe(0);
    expect(following(critical, ours)).toBe(0xffff);
  });
});
