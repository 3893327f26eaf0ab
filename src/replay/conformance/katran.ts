import { z } from 'zod';
import { ListedSockets } from '../../io/listed-sockets.js';
import type { ForwardAction } from '../../path/profile/forward-reason.js';
import { katran } from '../../path/profile/forwarder-profile.js';
import type { ForwarderSite } from '../../path/profile/forwarder-site.js';
import {
  type ForwardFlow,
  type ForwardOutcome,
  ProfiledForwarder,
} from '../../path/profile/profiled-forwarder.js';
import { overheadOf } from '../../path/profile/profiled-forwarder-wrap.js';
import { encodeIpv4Into } from '../../wire/ipv4.js';
import { encodeIpv6Into } from '../../wire/ipv6.js';
import { TCP_HEADER } from '../../wire/tcp.js';
import { ETHERNET_HEADER, splitFrame } from './ethernet.js';
import { accountOf, malformedVector, type VectorFormat, type VectorResult } from './format.js';
import { whyNotAsked } from './katran-question.js';
import { katranSite } from './katran-world.js';
import { type KatranWrapped, traceOf, unwrapKatran } from './katran-wrapper.js';
import { compareBytes, isRecord, shapeProblems } from './shape.js';

/**
 * Fixtures of Facebook's Katran: a frame in, what its XDP program returned, a frame out. Asked of the profile `katran`:
 *
 * - is the packet passed, dropped, or forwarded;
 * - forwarded, is what it wraps the same, and was the same flow read: the outer header of Katran's output has a trace of
 *   client and port;
 * - does an ICMP error have the key of the flow that it quotes.
 *
 * Which server a packet went to is not asked: connection tables, server ids in QUIC connection ids and TCP options,
 * source routing and the hash ring itself are Katran's own. What no forwarder could answer is told with the reason.
 */

const base64 = z
  .string()
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, {
    error: 'expected bytes in base64',
  })
  .transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

const fixtureShape = z.object({
  suite: z.string().min(1),
  n: z.union([z.int(), z.string()]),
  description: z.string().default(''),
  retval: z.enum([
    'XDP_TX',
    'XDP_PASS',
    'XDP_DROP',
    'TC_ACT_UNSPEC',
    'TC_ACT_REDIRECT',
    'TC_ACT_OK',
    'TC_ACT_SHOT',
  ]),
  in: base64.refine((frame) => frame.length >= ETHERNET_HEADER, { error: 'expected an Ethernet frame' }),
  out: base64.nullish(),
});
type Fixture = z.infer<typeof fixtureShape>;

const ACTIONS: Readonly<Record<string, ForwardAction>> = {
  XDP_TX: 'send',
  XDP_PASS: 'pass',
  XDP_DROP: 'drop',
};

export const katranFixtures: VectorFormat = {
  name: 'katran-fixtures',

  recognises(file): boolean {
    return (
      Array.isArray(file) && file.some((value) => isRecord(value) && 'suite' in value && 'retval' in value)
    );
  },

  *run(file): Generator<VectorResult> {
    if (!Array.isArray(file)) return;
    for (const [index, value] of file.entries()) {
      const fixture = fixtureShape.safeParse(value);
      if (fixture.success) yield runFixture(fixture.data);
      else yield malformedVector(index, nameOf(value), shapeProblems(fixture.error, value));
    }
  },
};

function runFixture(fixture: Fixture): VectorResult {
  const { suite, n, description, retval } = fixture;
  const group = suite;
  const name = `${suite}/${n}${description === '' ? '' : ` ${description}`}`;
  const site = katranSite(suite);
  const frame = splitFrame(fixture.in);
  const reason = whyNotAsked(retval, frame?.packet ?? null, site.mtu);
  if (reason !== null) return { group, name, outcome: 'not-asked', detail: [reason] };
  const detail = frame === null ? compareOther(retval) : compare(fixture, frame.packet, frame.version, site);
  return { group, name, outcome: detail.length === 0 ? 'passed' : 'failed', detail };
}

/** What is no IP is the kernel's, whoever looks at it. */
function compareOther(retval: string): string[] {
  return retval === 'XDP_PASS' ? [] : [`expected ${retval}, got pass: the frame carries no IP`];
}

function compare(fixture: Fixture, packet: Uint8Array, version: 4 | 6, site: ForwarderSite): string[] {
  const forwarder = new ProfiledForwarder(katran, site, new ListedSockets());
  const outcome = forwarder.process(packet, version);
  const lines: string[] = [];
  if (outcome.action !== ACTIONS[fixture.retval]) {
    lines.push(
      `expected ${ACTIONS[fixture.retval]} (${fixture.retval}), got ${outcome.action} (${outcome.reason})`,
    );
  } else if (outcome.action === 'send') {
    lines.push(...compareSent(fixture, packet, outcome));
    if (outcome.flow?.quoted === true)
      lines.push(...compareKeys(packet, outcome.flow, outcome.key, forwarder));
  } else if (outcome.action === 'pass' && fixture.out) {
    lines.push(...compareBytes('passed on', fixture.out.subarray(ETHERNET_HEADER), outcome.bytes));
  }
  if (lines.length === 0) return [];
  return [...lines, ...accountOf(outcome.steps)];
}

function compareSent({ out }: Fixture, packet: Uint8Array, outcome: ForwardOutcome): string[] {
  const wrapped = out ? unwrapKatran(out.subarray(ETHERNET_HEADER)) : null;
  if (wrapped === null)
    return ["Katran's output is no packet in IP or UDP: there is nothing to compare with"];
  const inner = outcome.bytes.subarray(overheadOf(outcome.hops.slice(1)));
  return [
    ...compareBytes('wrapped packet', wrapped.inner, inner),
    ...compareTraces(wrapped, packet, outcome),
  ];
}

function compareTraces(
  wrapped: KatranWrapped,
  packet: Uint8Array,
  { flow, service }: ForwardOutcome,
): string[] {
  if (flow === null) return ['a packet was sent without a flow'];
  const client = packet.subarray(flow.client, flow.client + (flow.version === 4 ? 4 : 16));
  const traces = [traceOf(wrapped.wrapper, client, flow.clientPort)];
  // Where only the port is hashed, Katran forgets the client, unless the packet itself names its server.
  if (service?.keyFields?.includes('source-address') === false) {
    traces.push(traceOf(wrapped.wrapper, new Uint8Array(client.length), flow.clientPort));
  }
  const [found, ...allowed] = [wrapped.trace, ...traces].map((trace) => Buffer.from(trace).toString('hex'));
  if (allowed.includes(found)) return [];
  return [
    `flow: Katran's output has the trace ${found}, and the flow read here leaves ${allowed.join(' or ')}`,
  ];
}

/** Does a packet of the quoted flow have the key that the error has? */
function compareKeys(
  packet: Uint8Array,
  flow: ForwardFlow,
  key: Uint8Array,
  forwarder: ProfiledForwarder,
): string[] {
  const [ofError, ofFlow] = [key, forwarder.process(packetOf(packet, flow), flow.version).key].map((bytes) =>
    Buffer.from(bytes).toString('hex'),
  );
  return ofError === ofFlow
    ? []
    : [`key: the ICMP error has ${ofError}, and packets of its flow have ${ofFlow}`];
}

/** A packet from the client of a flow to its VIP, with nothing in it but what names the flow. */
function packetOf(
  error: Uint8Array,
  { version, protocol, client, vip, clientPort, vipPort }: ForwardFlow,
): Uint8Array {
  const size = version === 4 ? 4 : 16;
  const [source, destination] = [client, vip].map((offset) => error.subarray(offset, offset + size));
  const header = version === 4 ? 20 : 40;
  const bytes = new Uint8Array(header + TCP_HEADER);
  const data = new DataView(bytes.buffer);
  if (version === 4) {
    const [from, to] = [source, destination].map((address) => Buffer.from(address).readUInt32BE(0));
    encodeIpv4Into(data, 0, bytes.length, protocol, from, to);
  } else {
    encodeIpv6Into(data, 0, TCP_HEADER, protocol, source, destination);
  }
  data.setUint16(header, clientPort);
  data.setUint16(header + 2, vipPort);
  return bytes;
}

function nameOf(value: unknown): string | null {
  if (!isRecord(value) || typeof value.suite !== 'string' || value.suite === '') return null;
  return typeof value.n === 'number' || typeof value.n === 'string'
    ? `${value.suite}/${value.n}`
    : value.suite;
}
