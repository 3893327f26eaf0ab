import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  transportChecksum,
  verifyTransportChecksum,
  writeTransportChecksum,
} from '../../src/wire/checksum.js';
import { GreView } from '../../src/wire/gre.js';
import { GueView } from '../../src/wire/gue.js';
import { IcmpView } from '../../src/wire/icmp.js';
import { Icmpv6View } from '../../src/wire/icmpv6.js';
import { IpPacket } from '../../src/wire/ip.js';
import { Ipv4View } from '../../src/wire/ipv4.js';
import { Ipv6FragmentView, Ipv6View } from '../../src/wire/ipv6.js';
import { QuicLongView, QuicPacketView, QuicShortView } from '../../src/wire/quic.js';
import { REASON_NAMES, Reason } from '../../src/wire/reason.js';
import { TcpView } from '../../src/wire/tcp.js';
import { UdpView } from '../../src/wire/udp.js';
import { WireguardView } from '../../src/wire/wireguard.js';
import { runs } from '../fuzz.js';
import { dataOf, GuardedDataView, hex } from './bytes.js';
import * as frames from './frames.js';

/**
 * The contract of the room, for every view and for the IP walk: whatever the bytes, nothing throws, and nothing
 * outside `[offset, limit)` is read or written.
 */

interface View {
  attach(data: DataView, offset: number, limit: number): Reason;
}

interface Subject {
  readonly name: string;
  /** Good packets: mutated and cut. */
  readonly samples: readonly Uint8Array[];
  /** Attaches and, if that is Ok, uses every accessor there is. */
  run(data: DataView, offset: number, limit: number): Reason;
}

/** A UDP header elsewhere, for the setters that patch one. */
function otherUdp(): UdpView {
  const udp = new UdpView();
  udp.attach(dataOf(Uint8Array.from(frames.KATRAN_UDP4)), 20, frames.KATRAN_UDP4.length);
  return udp;
}

/** Arguments for methods that take some, by name. */
const ARGUMENTS: Readonly<Record<string, readonly (readonly unknown[])[]>> = {
  hop: Array.from({ length: 258 }, (_, i) => [i - 1]),
  setAcknowledgment: [[0x89abcdef]],
  setClientid: [[0xc0ffee, otherUdp()]],
  clearClientid: [[otherUdp()]],
  setDestination: [[0xc0000201]],
  setDestinationPort: [[443]],
  setFlags: [[0x12]],
  setHopLimit: [[1]],
  setNextHop: [[1, otherUdp()]],
  setSequence: [[0xffffffff]],
  setSource: [[0x0a000001]],
  setSourcePort: [[53]],
  setTtl: [[0]],
  setWindow: [[0]],
  patchChecksum16: [[1, 2]],
  patchChecksum32: [[1, 2]],
};
/** `verifyChecksum(addresses)` of ICMPv6 reads the IPv6 header, which its caller knows to be there. */
const NOT_CALLED = new Set(['constructor', 'attach', 'replace16', 'replace32', 'attachRetry', 'accept']);

/** Uses every getter and method of a view: readers first, for setters change the bytes. */
function useEverything(view: object): void {
  const members = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(view)));
  for (const [, member] of members) member.get?.call(view);
  for (const [name, member] of members) {
    if (typeof member.value !== 'function' || NOT_CALLED.has(name)) continue;
    if (view instanceof Icmpv6View && name === 'verifyChecksum') continue;
    const calls = member.value.length === 0 ? [[]] : ARGUMENTS[name];
    if (calls === undefined) throw new Error(`no arguments are known for ${name}`);
    for (const args of calls) {
      const result: unknown = member.value.apply(view, args);
      if (typeof result === 'object' && result !== null && Symbol.iterator in result) {
        Array.from(result as Iterable<unknown>);
      }
    }
  }
}

function subjectOf(name: string, view: View, samples: readonly Uint8Array[]): Subject {
  return {
    name,
    samples,
    run(data, offset, limit) {
      const reason = view.attach(data, offset, limit);
      if (reason === Reason.Ok) useEverything(view);
      return reason;
    },
  };
}

function packetSubject(name: string, parse: 'parse' | 'parseQuoted'): Subject {
  const packet = new IpPacket();
  return {
    name,
    samples: Object.values(frames),
    run(data, offset, limit) {
      const reason = packet[parse](data, offset, limit);
      if (reason !== Reason.Ok) return reason;
      expect(packet.offset).toBe(offset);
      expect(packet.transport).toBeGreaterThanOrEqual(offset + 20);
      expect(packet.end).toBeGreaterThanOrEqual(packet.transport);
      expect(packet.end).toBeLessThanOrEqual(limit);
      transportChecksum(packet);
      verifyTransportChecksum(packet);
      writeTransportChecksum(packet);
      return reason;
    },
  };
}

/** The same bytes as an IP packet whose length field agrees with them, so that what lies behind is reached. */
function withLength(bytes: Uint8Array): Uint8Array {
  const fitted = Uint8Array.from(bytes);
  const data = dataOf(fitted);
  if (fitted.length >= 20 && fitted[0] >>> 4 === 4) data.setUint16(2, fitted.length);
  if (fitted.length >= 40 && fitted[0] >>> 4 === 6) data.setUint16(4, fitted.length - 40);
  return fitted;
}

/** With connection IDs of a length that its `attach` is told. */
function quicShortSubject(dcidLength: number): Subject {
  const view = new QuicShortView();
  return {
    name: 'QuicShortView',
    samples: [hex('40', '0102030405060708', '99'.repeat(24)), hex('00', '01'.repeat(9))],
    run(data, offset, limit) {
      const reason = view.attach(data, offset, limit, dcidLength);
      if (reason === Reason.Ok) useEverything(view);
      return reason;
    },
  };
}

const ipv4 = [frames.KATRAN_TCP4, frames.KATRAN_TCP4_OPTIONS, frames.GLB_TCP4, frames.KATRAN_IPIP];
const ipv6 = [frames.KATRAN_TCP6, frames.KATRAN_UDP6, frames.CLS_EXTENSIONS_FIVE, frames.CLS_ATOMIC];
const gue = [frames.GLB_TCP4, frames.GLB_TCP6, frames.CLS_GUE_TWO_HOPS];

const quicLong = [
  hex('c000000001 08 0001020304050607 04 0a0b0c0d 03 aabbcc 4014', '99'.repeat(20)),
  hex('f06b3343cf 00 00 05', '99'.repeat(5)),
  hex('f000000001 00 02 0a0b 746f6b656e', '77'.repeat(16)),
];

const subjects: readonly Subject[] = [
  packetSubject('IpPacket.parse', 'parse'),
  packetSubject('IpPacket.parseQuoted', 'parseQuoted'),
  subjectOf('Ipv4View', new Ipv4View(), ipv4),
  subjectOf('Ipv6View', new Ipv6View(), ipv6),
  subjectOf('Ipv6FragmentView', new Ipv6FragmentView(), [frames.CLS_ATOMIC.subarray(40)]),
  subjectOf('TcpView', new TcpView(), [
    frames.KATRAN_TCP4.subarray(20),
    hex('0050c350000000010000000070020001ffff0000020405b401010402'),
  ]),
  subjectOf('UdpView', new UdpView(), [frames.KATRAN_UDP4.subarray(20), frames.KATRAN_UDP6.subarray(40)]),
  subjectOf('IcmpView', new IcmpView(), [frames.KATRAN_FRAGMENTATION_NEEDED.subarray(20)]),
  subjectOf('Icmpv6View', new Icmpv6View(), [frames.KATRAN_PACKET_TOO_BIG.subarray(40)]),
  subjectOf(
    'GueView',
    new GueView(),
    gue.map((frame) => frame.subarray(28)),
  ),
  subjectOf('GreView', new GreView(), [
    frames.CLS_GRE4.subarray(20),
    hex('b0000800 c0de0000 11223344 55667788 45000014'),
  ]),
  subjectOf('WireguardView', new WireguardView(), [
    hex('04c0ffee', '01'.repeat(44)),
    hex('01c0ffee', '01'.repeat(144)),
    hex('02000000', '01'.repeat(88)),
    hex('03000000', '01'.repeat(60)),
  ]),
  subjectOf('QuicLongView', new QuicLongView(), [...quicLong, hex('80000000000100 01ff', '00000001')]),
  subjectOf('QuicPacketView', new QuicPacketView(), quicLong),
  quicShortSubject(8),
];

/** Three places for the same bytes, each with another way to notice a read outside them. */
function runEverywhere(subject: Subject, bytes: Uint8Array): Reason {
  const { length } = bytes;
  const shift = 7;

  // At the very end of a buffer of exactly the right size: reading on is a RangeError.
  const atEnd = new Uint8Array(shift + length);
  atEnd.set(bytes, shift);
  const reason = subject.run(dataOf(atEnd), shift, shift + length);

  // As all that a DataView shows: reading before it is one, too.
  const alone = new Uint8Array(shift + length + shift);
  alone.set(bytes, shift);
  const window = new DataView(alone.buffer, shift, length);
  expect(subject.run(window, 0, length)).toBe(reason);

  // In the middle of other bytes, watched.
  const within = new Uint8Array(shift + length + shift).fill(0xff);
  within.set(bytes, shift);
  const guarded = new GuardedDataView(within.buffer, shift, shift + length);
  expect(subject.run(guarded, shift, shift + length)).toBe(reason);
  expect(within.subarray(0, shift).every((byte) => byte === 0xff)).toBe(true);
  expect(within.subarray(shift + length).every((byte) => byte === 0xff)).toBe(true);

  expect(REASON_NAMES[reason]).toBeTypeOf('string');
  return reason;
}

describe.each(subjects)('$name', (subject) => {
  it('takes its samples', () => {
    for (const sample of subject.samples) {
      if (sample === frames.WIKIPEDIA_IPV4) continue;
      expect(runEverywhere(subject, sample)).toBe(Reason.Ok);
    }
  });

  // Only IP has length fields that say where its own options and extension headers must end.
  const isIp = /^(IpPacket|Ipv4View|Ipv6View)/.test(subject.name);

  it('survives every truncation of them', () => {
    for (const sample of subject.samples) {
      for (let length = 0; length < sample.length; length++) {
        const cut = sample.subarray(0, length);
        runEverywhere(subject, cut);
        if (isIp) runEverywhere(subject, withLength(cut));
      }
    }
  });

  it('survives samples with bytes changed, cut anywhere', () => {
    const change = fc.tuple(fc.nat(60), fc.nat(255));
    const changes = fc.array(change, { maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...subject.samples), changes, fc.nat(300), (sample, list, length) => {
        const bytes = Uint8Array.from(sample);
        for (const [at, value] of list) bytes[at % bytes.length] = value;
        const mutant = bytes.subarray(0, length);
        runEverywhere(subject, mutant);
        if (isIp) runEverywhere(subject, withLength(mutant));
      }),
      runs(500),
    );
  });

  it('survives random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        runEverywhere(subject, bytes);
      }),
      runs(300),
    );
  });

  it('says Truncated where the limit lies before the offset', () => {
    expect(subject.run(dataOf(new Uint8Array(100)), 50, 40)).toBe(Reason.Truncated);
  });
});

describe('the proof itself', () => {
  it('notices reads and writes outside', () => {
    const guarded = new GuardedDataView(new ArrayBuffer(30), 10, 20);
    for (const at of [9, 17]) {
      expect(() => guarded.getUint32(at)).toThrow(RangeError);
      expect(() => guarded.getInt32(at)).toThrow(RangeError);
      expect(() => guarded.setUint32(at, 0)).toThrow(RangeError);
    }
    expect(() => guarded.getUint8(20)).toThrow(RangeError);
    expect(() => guarded.getUint16(19)).toThrow(RangeError);
    expect(() => guarded.getBigUint64(13)).toThrow(RangeError);
    expect(() => guarded.setUint8(9, 0)).toThrow(RangeError);
    expect(() => guarded.setUint16(19, 0)).toThrow(RangeError);
    expect(guarded.getUint32(16)).toBe(0);
  });

  it('covers every view of the room', async () => {
    const room: Record<string, unknown> = await import('../../src/wire/index.js');
    const views = Object.keys(room).filter((name) => name.endsWith('View'));
    expect(views.sort()).toEqual(
      subjects
        .map((subject) => subject.name)
        .filter((name) => name.endsWith('View'))
        .sort(),
    );
  });
});
