import { formatIpv4 } from '../../wire/address.js';
import type { SocketLookup } from '../sockets.js';
import { FORWARD_REASONS, type ForwardAction, type ForwardReason } from './forward-reason.js';
import type { ForwarderProfile } from './forwarder-profile.js';
import type { ForwarderService, ForwarderSite } from './forwarder-site.js';
import { readFlow } from './profiled-forwarder-flow.js';
import { type FlowHash, hashOf, keyOf, keyOfFields } from './profiled-forwarder-key.js';
import { decideHere } from './profiled-forwarder-local.js';
import { describeFlow, type ForwardFlow, type ForwardReading, tell } from './profiled-forwarder-reading.js';
import { type Envelope, overheadOf, sourcePortOf, wrap } from './profiled-forwarder-wrap.js';
import type { RedirectStep } from './redirect-trace.js';

export type { ForwardFlow } from './profiled-forwarder-reading.js';

/** What became of one packet. */
export interface ForwardOutcome {
  readonly action: ForwardAction;
  readonly reason: ForwardReason;
  /** What leaves: the packet as it came, or wrapped. Empty when dropped or answered. */
  readonly bytes: Uint8Array;
  /** Where it is sent, as a number; 0 when it is not. */
  readonly nextHop: number;
  /** Whom it is for, null when that was not found or not looked for. */
  readonly service: ForwarderService | null;
  /** Null for a packet that has none, or that was not read so far; addresses are offsets in the packet. */
  readonly flow: ForwardFlow | null;
  /** What was hashed; empty when nothing was. */
  readonly key: Uint8Array;
  /** The hash as a number in hexadecimal, '' when nothing was hashed. */
  readonly hash: string;
  /** -1 when no table was looked into. */
  readonly row: number;
  /** All hops that the tables name for it, the first first. */
  readonly hops: readonly number[];
  /** What was looked at and decided, in order, for people. */
  readonly steps: readonly RedirectStep[];
}

/** What the tables say about a flow. */
interface Lookup {
  readonly key: Uint8Array;
  readonly hash: FlowHash;
  readonly row: number;
  readonly hops: readonly number[];
}

/** A verdict, and the bytes that leave under it. */
interface Judgement {
  readonly reason: ForwardReason;
  readonly bytes?: Uint8Array;
  readonly nextHop?: number;
  readonly flow?: ForwardFlow;
  readonly lookup?: Lookup;
}

/**
 * The forwarder, slow and obvious: one packet at a time, any profile, with an account of what it did. For replay,
 * explanations and conformance; the hot `Forwarder` does the same for the profile `twohop`.
 *
 * A lookup of sockets is told of SYNs that are taken in, as by the hot one; the caller tells it of deliveries.
 */
export class ProfiledForwarder {
  constructor(
    private readonly profile: ForwarderProfile,
    private readonly site: ForwarderSite,
    private readonly sockets: SocketLookup,
  ) {}

  /**
   * @param packet from the IP header to the last byte present; not changed
   * @param announced what the link layer says it is, where there is one
   */
  process(packet: Uint8Array, announced: 4 | 6 | null = null): ForwardOutcome {
    const reading: ForwardReading = {
      profile: this.profile,
      site: this.site,
      packet,
      data: new DataView(packet.buffer, packet.byteOffset, packet.byteLength),
      announced,
      steps: [],
      service: null,
    };
    const { reason, bytes, nextHop, flow, lookup } = this.judge(reading);
    const { action } = FORWARD_REASONS[reason];
    const unchanged = action === 'pass' ? Uint8Array.from(packet) : new Uint8Array(0);
    return {
      action,
      reason,
      bytes: bytes ?? unchanged,
      nextHop: nextHop ?? 0,
      service: reading.service,
      flow: flow ?? null,
      key: lookup?.key ?? new Uint8Array(0),
      hash: lookup?.hash.hex ?? '',
      row: lookup?.row ?? -1,
      hops: lookup?.hops ?? [],
      steps: reading.steps,
    };
  }

  private judge(reading: ForwardReading): Judgement {
    const flow = readFlow(reading);
    if (typeof flow === 'string') return { reason: flow };
    const { service } = reading;
    if (service === null) throw new Error('a flow was read without a service');
    const { profile, site, packet } = reading;
    if (profile.mtu === 'of-received' && packet.length > site.mtu) {
      tell(
        reading,
        'The packet is dropped',
        `it has ${packet.length} bytes, more than the MTU of ${site.mtu}`,
      );
      return { reason: 'drop_too_big', flow };
    }
    if (service.rowCount === 0) {
      tell(reading, 'The packet is dropped', `${service.name} has no forwarding table yet`);
      return { reason: 'drop_no_table', flow };
    }
    const key = keyOf(reading, service, flow);
    if (key === null) {
      tell(reading, 'The packet is dropped', `the flow dissector of ${service.name} refused it`);
      return { reason: 'drop_dissector', flow };
    }
    const lookup = this.lookUp(reading, service, flow, key);
    if (lookup.hops.length === 0) {
      tell(reading, 'The packet is dropped', `row ${lookup.row} has no first hop`);
      return { reason: 'drop_empty_bucket', flow, lookup };
    }
    return { flow, lookup, ...this.sendOrKeep(reading, service, flow, lookup) };
  }

  private lookUp(
    reading: ForwardReading,
    service: ForwarderService,
    flow: ForwardFlow,
    key: Uint8Array,
  ): Lookup {
    const first = this.lookUpKey(reading, service, key, 'key');
    const fields = this.profile.alternativeKeyFields;
    if (fields === null) return first;
    const second = this.lookUpKey(
      reading,
      service,
      keyOfFields(reading.data, flow, fields),
      'alternative key',
    );
    return { ...first, hops: [...first.hops, ...second.hops] };
  }

  private lookUpKey(
    reading: ForwardReading,
    service: ForwarderService,
    key: Uint8Array,
    name: string,
  ): Lookup {
    const hash = hashOf(this.profile.hash, service.hashKey, key);
    const row = hash.low % service.rowCount;
    const hops = service.hopsOf(row);
    const hex = Buffer.from(key).toString('hex');
    tell(reading, `The hash is ${hash.hex}`, `that is ${this.profile.hash} of the ${name} ${hex}`);
    const names = hops.length === 0 ? 'nobody' : hops.map(formatIpv4).join(', then ');
    tell(reading, `Row ${row} names ${names}`, `it is the hash modulo the table's ${service.rowCount} rows`);
    return { key, hash, row, hops };
  }

  private sendOrKeep(
    reading: ForwardReading,
    service: ForwarderService,
    flow: ForwardFlow,
    { hash, hops: [first, ...others] }: Lookup,
  ): Judgement {
    const { profile, site, packet } = reading;
    const envelope: Envelope = {
      source: site.address,
      destination: first,
      sourcePort: sourcePortOf(profile, hash, flow.hint),
      destinationPort: site.port,
      hops: others,
      nextHop: 0,
    };
    if (first !== site.address || profile.firstHopIsSelf === 'send') {
      return this.send(reading, flow, envelope, flow.quoted ? 'forward_icmp_error' : 'forward');
    }
    tell(reading, 'The redirector decides at once', 'the first hop is this server');
    const second = others.length === 0 ? null : others[0];
    const reason = decideHere(reading, service, flow, second, this.sockets);
    if (reason === 'redirect' && second !== null) {
      return this.send(reading, flow, { ...envelope, destination: second, nextHop: 1 }, reason);
    }
    if (FORWARD_REASONS[reason].action === 'drop') return { reason };
    return { reason, bytes: packet.slice(0, profile.padding === 'cut' ? flow.length : packet.length) };
  }

  private send(
    reading: ForwardReading,
    flow: ForwardFlow,
    envelope: Envelope,
    reason: ForwardReason,
  ): Judgement {
    const { profile, site, packet, data } = reading;
    const length = overheadOf(envelope.hops) + flow.length;
    if (profile.mtu === 'of-wrapped' && length > site.mtu) {
      const sum = `${flow.length} + ${length - flow.length} = ${length} bytes`;
      tell(
        reading,
        'The packet is dropped',
        `wrapped it has ${sum}, more than the underlay's MTU of ${site.mtu}`,
      );
      return { reason: 'drop_too_big' };
    }
    tell(
      reading,
      `The packet is wrapped and sent to ${formatIpv4(envelope.destination)}`,
      `that is where ${describeFlow(data, flow)} belongs; it leaves with ${length} bytes, from port ${envelope.sourcePort}`,
    );
    return { reason, nextHop: envelope.destination, bytes: wrap(profile, packet, flow, envelope) };
  }
}
