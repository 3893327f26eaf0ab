import { Stage } from '../path/counters.js';
import type { TrafficsetState } from '../path/state.js';
import { Action, VERDICTS, Verdict, type VerdictName } from '../path/verdict.js';
import { formatIpv4 } from '../wire/address.js';
import { GUE_AT_HOP_COUNT, GUE_AT_HOPS, GUE_AT_NEXT_HOP, GUE_HOP, GueView } from '../wire/gue.js';
import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import { IPV4_AT_PROTOCOL, IPV4_HEADER } from '../wire/ipv4.js';
import { Reason } from '../wire/reason.js';
import { UDP_HEADER } from '../wire/udp.js';
import type { ReplayFleet, ReplayServer } from './fleet.js';
import type { Traveller } from './traveller.js';
import { endpoint, flowWords, packetWords, protocolName, TCP_FLAG_NAMES } from './words.js';

/** What one stage made of one packet, and why: as a comment for people and as data for programs. */

const codes = (...names: VerdictName[]): ReadonlySet<number> => new Set(names.map((name) => Verdict[name]));

/** Verdicts with which the flow is known. */
const FLOW_KNOWN = codes(
  'Forward',
  'ForwardIcmpError',
  'AcceptSyn',
  'AcceptEstablished',
  'AcceptSynCookie',
  'AcceptLastHop',
  'AcceptSelf',
  'AcceptIcmpError',
  'Redirect',
  'DropNoTable',
  'DropDissector',
  'DropEmptyBucket',
  'DropTooBig',
  'DropLookupFailed',
);
/** ... but without a look into the forwarding table. */
const BEFORE_LOOKUP = codes('DropNoTable', 'DropDissector');
/** Verdicts of the redirector that come after the hop list was read. */
const HOPS_KNOWN = new Set([...FLOW_KNOWN].filter((verdict) => verdict !== Verdict.DropNoTable));

export interface HopDetail {
  readonly dip: string;
  /** Null when no server of the configuration has that address. */
  readonly server: string | null;
}

export interface StepDetail {
  readonly server: string;
  readonly stage: 'forward' | 'redirect';
  readonly verdict: string;
  readonly action: 'drop' | 'deliver' | 'send';
  readonly reason: string;
  /** Of the packet before and after, in bytes. */
  readonly length: number;
  readonly lengthAfter: number;
  readonly trafficset: string | null;
  /** As the client's packets go; null where the packet has none or it was not looked at. */
  readonly flow: FlowDetail | null;
  /** Only where the forwarding table was looked into. */
  readonly lookup: LookupDetail | null;
  /** Only in the redirector: the hop that was to be tried. */
  readonly hop: { readonly index: number; readonly count: number; readonly to: HopDetail | null } | null;
  /** Where the packet goes over the underlay. */
  readonly nextHop: HopDetail | null;
}

export interface FlowDetail {
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly tcpFlags: string;
  /** True when an ICMP error quotes it. */
  readonly quoted: boolean;
}

export interface LookupDetail {
  readonly dissector: string;
  /** Hexadecimal. */
  readonly key: string;
  /** `0x1a2b3c4d`. */
  readonly hash: string;
  readonly bucket: number;
  readonly buckets: number;
  readonly tableVersion: number;
  readonly firstHop: HopDetail | null;
  readonly secondHop: HopDetail | null;
}

const ACTION_WORDS = { [Action.Drop]: 'drop', [Action.Deliver]: 'deliver', [Action.Send]: 'send' } as const;

/** Tells about the last step of a traveller. */
export class StepTeller {
  /** `10.0.2.1 (s2)` by address. */
  private readonly hopTexts = new Map<number, string>();
  /** By trafficset (each server has its own) or server, and verdict. */
  private readonly openings = new Map<object, string[]>();

  constructor(private readonly fleet: ReplayFleet) {}

  /** One line, for a packet comment. */
  comment(traveller: Traveller): string {
    const { verdict, server, stage } = traveller;
    const set = trafficsetOf(traveller);
    let text = this.opening(server, verdict, set) + subject(traveller);
    if (hasLookup(traveller) && set !== undefined) {
      const hash = traveller.batch.flowHash[0];
      const bucket = hash & set.mask;
      text += `; key ${keyWords(traveller, set)}; hash ${hexWord(hash)}; bucket ${bucket} of ${set.mask + 1}`;
      text += `; first hop ${this.hopText(set.slots[2 * bucket])}, ${this.secondHopText(set, bucket)}`;
    } else if (stage === Stage.Redirect && HOPS_KNOWN.has(verdict)) {
      const hop = hopOf(traveller);
      if (hop.count === 0) text += '; the wrapper names no hop';
      else if (hop.index === hop.count) text += `; every hop of ${hop.count} was tried`;
      else text += `; hop ${hop.index + 1} of ${hop.count} is ${this.hopText(hop.dip)}`;
    }
    if (traveller.lost) text += `; no server has ${formatIpv4(traveller.batch.nextHop[0])}`;
    return text;
  }

  /** `s1: forward: wrapped and sent to the first hop; trafficset web; `: few of them, for many packets. */
  private opening(server: ReplayServer, verdict: number, set: TrafficsetState | undefined): string {
    const where = set ?? server;
    let texts = this.openings.get(where);
    if (texts === undefined) {
      texts = [];
      this.openings.set(where, texts);
    }
    texts[verdict] ??=
      `${server.name}: ${VERDICTS[verdict].name}: ${VERDICTS[verdict].meaning}; ${set === undefined ? '' : `trafficset ${set.name}; `}`;
    return texts[verdict];
  }

  detail(traveller: Traveller): StepDetail {
    const { verdict, server, stage, batch } = traveller;
    const set = trafficsetOf(traveller);
    return {
      server: server.name,
      stage: stage === Stage.Forward ? 'forward' : 'redirect',
      verdict: VERDICTS[verdict].name,
      action: ACTION_WORDS[traveller.action],
      reason: VERDICTS[verdict].meaning,
      length: traveller.length,
      lengthAfter: batch.length[0],
      trafficset: set?.name ?? null,
      flow: FLOW_KNOWN.has(verdict) ? flowDetail(traveller) : null,
      lookup: set !== undefined && hasLookup(traveller) ? this.lookupDetail(traveller, set) : null,
      hop: stage === Stage.Redirect && HOPS_KNOWN.has(verdict) ? this.hopDetail(traveller) : null,
      nextHop: traveller.action === Action.Send ? this.hop(batch.nextHop[0]) : null,
    };
  }

  private lookupDetail(traveller: Traveller, set: TrafficsetState): LookupDetail {
    const { key, classifier } = traveller.stages.forwarder;
    const hash = traveller.batch.flowHash[0];
    const bucket = hash & set.mask;
    return {
      dissector: classifier.flow.quoted === 1 ? 'four-tuple' : set.dissector.name,
      key: hexOf(key.bytes, key.length),
      hash: hexWord(hash),
      bucket,
      buckets: set.mask + 1,
      tableVersion: set.version,
      firstHop: this.hop(set.slots[2 * bucket]),
      secondHop: set.twoSlots === 1 ? this.hop(set.slots[2 * bucket + 1]) : null,
    };
  }

  private hopDetail(traveller: Traveller): StepDetail['hop'] {
    const { index, count, dip } = hopOf(traveller);
    return { index, count, to: index < count ? this.hop(dip) : null };
  }

  private hop(dip: number): HopDetail | null {
    return dip === 0 ? null : { dip: formatIpv4(dip), server: this.fleet.nameOf(dip) };
  }

  private secondHopText(set: TrafficsetState, bucket: number): string {
    if (set.twoSlots === 0) return 'one slot only';
    const second = set.slots[2 * bucket + 1];
    return second === 0 ? 'no second hop' : `second hop ${this.hopText(second)}`;
  }

  private hopText(dip: number): string {
    let text = this.hopTexts.get(dip);
    if (text === undefined) {
      const name = this.fleet.nameOf(dip);
      text = dip === 0 ? 'none' : `${formatIpv4(dip)}${name === null ? '' : ` (${name})`}`;
      this.hopTexts.set(dip, text);
    }
    return text;
  }
}

function trafficsetOf({ batch, server }: Traveller): TrafficsetState | undefined {
  return server.state.trafficsets[batch.trafficset[0]];
}

function hasLookup({ stage, verdict }: Traveller): boolean {
  return stage === Stage.Forward && FLOW_KNOWN.has(verdict) && !BEFORE_LOOKUP.has(verdict);
}

function classifierOf({ stages, stage }: Traveller) {
  return stage === Stage.Forward ? stages.forwarder.classifier : stages.redirector.classifier;
}

/** The four-tuple is told with the flow; what another dissector found is told in hexadecimal. */
function keyWords({ stages }: Traveller, set: TrafficsetState): string {
  const { key, classifier } = stages.forwarder;
  if (classifier.flow.quoted === 1) return 'four-tuple of the quoted packet';
  const { name } = set.dissector;
  return name === 'four-tuple' ? name : `${name} ${hexOf(key.bytes, key.length)}`;
}

function subject(traveller: Traveller): string {
  if (FLOW_KNOWN.has(traveller.verdict)) return flowWords(classifierOf(traveller).flow);
  const { batch, offset, length, stage } = traveller;
  const words = packetWords(batch.data, offset, offset + length);
  if (stage === Stage.Forward) return words;
  const inner = innerOf(batch.data, offset, offset + length);
  return inner < 0 ? words : `${words} around ${packetWords(batch.data, inner, offset + length)}`;
}

function flowDetail(traveller: Traveller): FlowDetail {
  const { flow } = classifierOf(traveller);
  return {
    protocol: protocolName(flow.protocol).toLowerCase(),
    source: endpoint(flow.version, flow.data, flow.sourceOffset, flow.sourcePort),
    destination: endpoint(flow.version, flow.data, flow.destinationOffset, flow.destinationPort),
    tcpFlags: TCP_FLAG_NAMES[flow.tcpFlags],
    quoted: flow.quoted === 1,
  };
}

/** The hop that the redirector was to try. What it has sent on already points one further. */
function hopOf(traveller: Traveller): { index: number; count: number; dip: number } {
  const { data } = traveller.batch;
  const gue = traveller.offset + ((data.getUint8(traveller.offset) & 0x0f) << 2) + UDP_HEADER;
  const index = data.getUint8(gue + GUE_AT_NEXT_HOP) - (traveller.action === Action.Send ? 1 : 0);
  const count = data.getUint8(gue + GUE_AT_HOP_COUNT);
  return { index, count, dip: index < count ? data.getUint32(gue + GUE_AT_HOPS + index * GUE_HOP) : 0 };
}

const wrapper = new GueView();

/** Where the wrapped packet begins; -1 where the wrapper cannot be read. */
function innerOf(data: DataView, offset: number, limit: number): number {
  if (
    limit - offset < IPV4_HEADER + UDP_HEADER ||
    data.getUint8(offset + IPV4_AT_PROTOCOL) !== IP_PROTOCOL_UDP
  )
    return -1;
  const udp = offset + ((data.getUint8(offset) & 0x0f) << 2);
  return wrapper.attach(data, udp + UDP_HEADER, limit) === Reason.Ok ? wrapper.payload : -1;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hexOf(bytes: Uint8Array, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += HEX[bytes[i]];
  return text;
}

function hexWord(word: number): string {
  return `0x${HEX[word >>> 24]}${HEX[(word >>> 16) & 0xff]}${HEX[(word >>> 8) & 0xff]}${HEX[word & 0xff]}`;
}
