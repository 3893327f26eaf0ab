import { Stage } from '../path/counters.js';
import type { TrafficsetState } from '../path/state.js';
import { Action, VERDICTS } from '../path/verdict.js';
import { formatIpv4 } from '../wire/address.js';
import type { ReplayFleet } from './fleet.js';
import {
  classifierOf,
  copiesOf,
  hasFlow,
  hasHops,
  hasLookup,
  hopOf,
  refusalOf,
  trafficsetOf,
} from './step-facts.js';
import type { Traveller } from './traveller.js';
import { endpoint, portOf, protocolName, TCP_FLAG_NAMES } from './words.js';

/** What one stage made of one packet, and why, as data for programs. */

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
  /** Where copies go: only of ICMP errors whose server cannot be told. */
  readonly copies: readonly HopDetail[];
  /** Why the flow dissector refused the packet, null where it did not. */
  readonly refusal: string | null;
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
  /** What the key was taken by: where the trafficset's dissector found none, the 4-tuple. */
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
  /** The server that the packet itself names, whatever the bucket. */
  readonly named: HopDetail | null;
}

const ACTION_WORDS = { [Action.Drop]: 'drop', [Action.Deliver]: 'deliver', [Action.Send]: 'send' } as const;

/** Tells about the last step of a traveller. */
export class StepTeller {
  constructor(private readonly fleet: ReplayFleet) {}

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
      flow: hasFlow(traveller) ? flowDetail(traveller) : null,
      lookup: set !== undefined && hasLookup(traveller) ? this.lookupDetail(traveller, set) : null,
      hop: hasHops(traveller) ? this.hopDetail(traveller) : null,
      nextHop: traveller.action === Action.Send ? this.hop(batch.nextHop[0]) : null,
      copies: copiesOf(traveller, set).flatMap((dip) => this.hop(dip) ?? []),
      refusal: refusalOf(traveller, set),
    };
  }

  private lookupDetail(traveller: Traveller, set: TrafficsetState): LookupDetail {
    const { key, fellBack, named } = traveller.stages.forwarder.keys;
    const hash = traveller.batch.flowHash[0];
    const bucket = hash & set.mask;
    return {
      dissector: fellBack + named > 0 ? 'four-tuple' : set.dissector.name,
      key: Buffer.from(key.bytes.buffer, 0, key.length).toString('hex'),
      hash: `0x${(hash >>> 0).toString(16).padStart(8, '0')}`,
      bucket,
      buckets: set.mask + 1,
      tableVersion: set.version,
      firstHop: this.hop(set.slots[2 * bucket]),
      secondHop: set.twoSlots === 1 ? this.hop(set.slots[2 * bucket + 1]) : null,
      named: named === 1 ? this.hop(key.server >>> 0) : null,
    };
  }

  private hopDetail(traveller: Traveller): StepDetail['hop'] {
    const { index, count, dip } = hopOf(traveller);
    return { index, count, to: index < count ? this.hop(dip) : null };
  }

  private hop(dip: number): HopDetail | null {
    return dip === 0 ? null : { dip: formatIpv4(dip), server: this.fleet.nameOf(dip) };
  }
}

function flowDetail(traveller: Traveller): FlowDetail {
  const { flow } = classifierOf(traveller);
  return {
    protocol: protocolName(flow.protocol).toLowerCase(),
    source: endpoint(flow.version, flow.data, flow.sourceOffset, portOf(flow.protocol, flow.sourcePort)),
    destination: endpoint(
      flow.version,
      flow.data,
      flow.destinationOffset,
      portOf(flow.protocol, flow.destinationPort),
    ),
    tcpFlags: TCP_FLAG_NAMES[flow.tcpFlags],
    quoted: flow.quoted === 1,
  };
}
