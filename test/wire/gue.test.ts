import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyTransportChecksum } from '../../src/wire/checksum.js';
import { encodeGueHopsInto, encodeGueInto, GUE_MAX_HOPS, GueView, gueOverhead } from '../../src/wire/gue.js';
import { IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6, IpPacket } from '../../src/wire/ip.js';
import { Ipv4View } from '../../src/wire/ipv4.js';
import { Reason } from '../../src/wire/reason.js';
import { UdpView } from '../../src/wire/udp.js';
import { concat, construct, dataOf, hex, toHex } from './bytes.js';
import * as frames from './frames.js';

const view = new GueView();
const udp = new UdpView();

function attach(bytes: Uint8Array): Reason {
  return view.attach(dataOf(bytes), 0, bytes.length);
}

/** Of an outer IPv4 header without options. */
const UDP_AT = 20;
const GUE_AT = 28;

describe('GueView', () => {
  it.each([
    ['IPv4', frames.GLB_TCP4, 4],
    ['IPv6', frames.GLB_TCP6, 41],
    ['an odd number of bytes', frames.GLB_UDP4_ODD, 4],
  ])('reads what GLB sends, wrapping %s', (_name, bytes, protocol) => {
    expect(view.attach(dataOf(bytes), GUE_AT, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      protocol,
      headerLength: 12,
      hopCount: 1,
      nextHop: 0,
      forwardSyn: 0,
      lastHopGre: 0,
      payload: 40,
      end: bytes.length,
    });
    expect(view.hop(0)).toBe(view.nextHopAddress);
    const inner = new IpPacket();
    expect(inner.parse(dataOf(bytes), view.payload, view.end)).toBe(Reason.Ok);
    expect(inner.version).toBe(protocol === 4 ? 4 : 6);
  });

  it('reads two hops and both flags, as the redirector of Cloudflare got them', () => {
    const bytes = frames.CLS_GUE_TWO_HOPS;
    expect(view.attach(dataOf(bytes), GUE_AT, bytes.length)).toBe(Reason.Ok);
    expect(view).toMatchObject({
      hopCount: 2,
      nextHop: 1,
      forwardSyn: 1,
      lastHopGre: 1,
      headerLength: 16,
      nextHopAddress: 0x0a000003,
    });
    expect([view.hop(0), view.hop(1)]).toEqual([0x0a000002, 0x0a000003]);
  });

  it('has no hop outside its list', () => {
    expect(attach(hex('02040000 00000101 0a000002'))).toBe(Reason.Ok);
    expect(view.nextHopAddress).toBe(0);
    expect([view.hop(-1), view.hop(1), view.hop(255)]).toEqual([0, 0, 0]);
  });

  it.each([
    ['less than a GUE header', '010400', Reason.Truncated],
    ['less than the private data', '01040000 000000', Reason.Truncated],
    ['less than the hop list', '02040000 00000001 0a0000', Reason.Truncated],
    ['variant 1: IPv4 directly behind UDP', '45000028 00000000', Reason.UnsupportedVariant],
    ['variant 1: IPv6 directly behind UDP', '60000000 00000000', Reason.UnsupportedVariant],
    ['variant 2', '81040000 00000000', Reason.UnsupportedVariant],
    ['a control message', '21040000 00000000', Reason.UnsupportedFlags],
    ['a GUE flag, first', '01048000 00000000', Reason.UnsupportedFlags],
    ['a GUE flag, last', '01040001 00000000', Reason.UnsupportedFlags],
    ['private version 1', '01040000 10000000', Reason.UnsupportedFlags],
    ['private version 8', '01040000 80000000', Reason.UnsupportedFlags],
    ['an unused bit', '01040000 02000000', Reason.UnsupportedFlags],
    ['the other unused bit', '01040000 01000000', Reason.UnsupportedFlags],
    ['a reserved byte', '01040000 00010000', Reason.UnsupportedFlags],
    ['no private data', '00040000', Reason.BadHopList],
    ['no private data, and a packet', '00040000 45000014', Reason.BadHopList],
    ['Hlen for no hop, and one hop', '01040000 00000001 0a000002', Reason.BadHopList],
    ['Hlen for one hop, and none', '02040000 00000000 0a000002', Reason.BadHopList],
    ['255 hops, and Hlen for none', '01040000 000000ff', Reason.BadHopList],
    ['next hop 1 of none', '01040000 00000100', Reason.BadHopList],
    ['next hop 2 of one', '02040000 00000201 0a000002', Reason.BadHopList],
    ['UDP inside', '01110000 00000000', Reason.UnknownType],
    ['nothing inside', '013b0000 00000000', Reason.UnknownType],
  ])('refuses %s', (_name, bytes, reason) => {
    expect(attach(hex(bytes))).toBe(reason);
  });

  it('refuses every truncation', () => {
    const header = hex('03290000 00000002 0a000002 0a000003');
    expect(attach(header)).toBe(Reason.Ok);
    for (let length = 0; length < header.length; length++) {
      expect(attach(header.subarray(0, length))).toBe(Reason.Truncated);
    }
  });
});

describe('setNextHop', () => {
  /** What a redirect step does to the outer headers (GitHub's rules: a UDP checksum is kept right). */
  function redirect(bytes: Uint8Array): void {
    const data = dataOf(bytes);
    const ip = new Ipv4View();
    expect(ip.attach(data, 0, bytes.length)).toBe(Reason.Ok);
    expect(udp.attach(data, UDP_AT, bytes.length)).toBe(Reason.Ok);
    expect(view.attach(data, GUE_AT, bytes.length)).toBe(Reason.Ok);
    const { source, destination } = ip;
    const hop = view.nextHopAddress;
    ip.setSource(destination);
    ip.setDestination(hop);
    udp.patchChecksum32(source, destination);
    udp.patchChecksum32(destination, hop);
    view.setNextHop(view.nextHop + 1, udp);
    expect(ip.verifyChecksum()).toBe(Reason.Ok);
  }

  it.each([
    ['IPv4', frames.GLB_TCP4],
    ['IPv6', frames.GLB_TCP6],
    ['an odd number of bytes', frames.GLB_UDP4_ODD],
  ])('keeps both outer checksums right through a redirect of %s', (_name, frame) => {
    const bytes = Uint8Array.from(frame);
    redirect(bytes);
    const packet = new IpPacket();
    expect(packet.parse(dataOf(bytes), 0, bytes.length)).toBe(Reason.Ok);
    expect(verifyTransportChecksum(packet)).toBe(Reason.Ok);
    expect(view).toMatchObject({ hopCount: 1, nextHop: 1, nextHopAddress: 0 });
  });

  it('leaves a UDP checksum of 0 alone', () => {
    const bytes = Uint8Array.from(frames.CLS_GUE_TWO_HOPS);
    redirect(bytes);
    expect(udp.checksum).toBe(0);
    expect(view.nextHop).toBe(2);
  });
});

describe('encoders', () => {
  it('write what GLB writes', () => {
    const hop = 0x02030405;
    const short = construct((data, offset) => encodeGueInto(data, offset, IP_PROTOCOL_IPIP, hop));
    expect(toHex(short)).toBe(toHex(frames.GLB_TCP4.subarray(28, 40)));
    const long = construct((data, offset) => encodeGueHopsInto(data, offset, IP_PROTOCOL_IPIP, [hop], 0));
    expect(toHex(long)).toBe(toHex(short));
  });

  it('write both flags where Cloudflare has them', () => {
    const hops = [0x0a000002, 0x0a000003];
    const bytes = construct((data, offset) =>
      encodeGueHopsInto(data, offset, IP_PROTOCOL_IPIP, hops, 1, 1, 1),
    );
    expect(toHex(bytes)).toBe(toHex(frames.CLS_GUE_TWO_HOPS.subarray(28, 44)));
  });

  it('write an empty list for hop 0', () => {
    const bytes = construct((data, offset) => encodeGueInto(data, offset, IP_PROTOCOL_IPV6));
    expect(toHex(bytes)).toBe('0129000000000000');
  });

  it('write what the view reads', () => {
    const hop = fc.integer({ min: 1, max: 0xffffffff });
    const hops = fc.array(hop, { maxLength: GUE_MAX_HOPS });
    const bit = fc.nat(1);
    const protocol = fc.constantFrom(IP_PROTOCOL_IPIP, IP_PROTOCOL_IPV6);
    fc.assert(
      fc.property(hops, fc.nat(), bit, bit, protocol, (list, pick, forwardSyn, lastHopGre, proto) => {
        const nextHop = pick % (list.length + 1);
        const bytes = construct((data, offset) =>
          encodeGueHopsInto(data, offset, proto, list, nextHop, forwardSyn, lastHopGre),
        );
        expect(attach(concat(bytes, hex('45')))).toBe(Reason.Ok);
        expect(view).toMatchObject({ protocol: proto, nextHop, forwardSyn, lastHopGre });
        expect(view).toMatchObject({ hopCount: list.length, headerLength: bytes.length });
        expect(list.map((_, i) => view.hop(i))).toEqual(list);
        expect(view.nextHopAddress).toBe(list[nextHop] ?? 0);
        expect(gueOverhead(list.length)).toBe(28 + bytes.length);
      }),
    );
  });
});

it('gueOverhead: 36 bytes, and 4 per hop', () => {
  expect([0, 1, 2].map(gueOverhead)).toEqual([36, 40, 44]);
});
