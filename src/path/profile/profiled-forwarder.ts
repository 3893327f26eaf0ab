import { formatIpv4 } from '../../wire/address.js';
import type { SocketLookup } from '../sockets.js';
import { Datagrams } from './datagrams.js';
import { FORWARD_REASONS, type ForwardAction, type ForwardReason } from './forward-reason.js';
import type { ForwarderProfile } from './forwarder-profile.js';
import type { ForwarderService, ForwarderSite } from './forwarder-site.js';
import { readFlow } from './profiled-forwarder-flow.js';
import { readIp } from './profiled-forwarder-ip.js';
import { type FlowHash, hashOf, keyOf, keyOfFields } from './profiled-forwarder-key.js';
import { decideHere } from './profiled-forwarder-local.js';
import { describeFlow, type ForwardFlow, type ForwardReading, tell } from './profiled-forwarder-reading.js';
import { type Envelope, overheadOf, sourcePortOf, wrap } from './profiled-forwarder-wrap.js';
import type { RedirectStep } from './redirect-trace.js';
import { delivered } from './service-key.js';

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
  /** The wrapper that was written. */
  readonly envelope?: Envelope;
}

/** How a first fragment ended, and so how the others of its datagram end. */
interface FragmentEnd {
  readonly judgement: Judgement;
  readonly service: ForwarderService | null;
}

/**
 * The forwarder, slow and obvious: one packet at a time, any profile, with an account of what it did. For replay,
 * explanations and conformance; the hot `Forwarder` does the same for the profile `twohop`.
 *
 * A lookup of sockets is told of SYNs that are taken in, as by the hot one; the caller tells it of deliveries.
 */
export class ProfiledForwarder {
  /** Milliseconds on a clock that never goes back. */
  now = 1;
  private readonly datagrams = new Datagrams<FragmentEnd>();

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
      fragment: 'none',
    };
    const { reason, bytes, nextHop, flow, lookup } = this.judgeFragment(reading);
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

  private judgeFragment(reading: ForwardReading): Judgement {
    const judgement = this.judge(reading);
    const { data, packet, profile, service } = reading;
    // What has no flow is not worth an entry: the others are then of no known datagram.
    if (reading.fragment === 'first' && judgement.reason !== 'drop_malformed_transport') {
      this.datagrams.note(data, { judgement, service }, this.now);
    }
    const before = reading.fragment === 'later' ? this.datagrams.find(data, this.now) : null;
    if (before === null) return judgement;

    reading.steps.pop();
    reading.service = before.service;
    tell(reading, 'The packet ends as the first fragment of its datagram', 'that was seen before');
    const { reason, envelope, lookup } = before.judgement;
    const { action } = FORWARD_REASONS[reason];
    const ip = readIp(profile, data, null);
    if (typeof ip === 'string' || action === 'drop') return { reason };
    const rest = { ...(lookup === undefined ? {} : { lookup }) };
    if (envelope !== undefined)
      return { ...rest, ...this.send(reading, ip, 'the datagram', envelope, reason) };
    return { reason, ...rest, bytes: packet.slice(0, ip.length) };
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
    const own = keyOf(reading, service, flow);
    if (own.kind === 'refused') {
      const because = `the flow dissector of ${service.name} refused it: ${own.reason}`;
      tell(reading, 'The packet is dropped', because);
      return { reason: 'drop_dissector', flow };
    }
    if (own.kind === 'unknown') {
      const because = `the packet that it quotes does not tell the flow key of ${service.name}`;
      tell(reading, 'The packet goes to every server', because);
      return { reason: 'forward_icmp_everywhere', flow, bytes: packet.slice(0, flow.length) };
    }
    const key = own.kind === 'key' ? own.bytes : keyOfFields(reading.data, flow, profile.keyFields);
    if (own.kind === 'fallback') {
      const because = `the flow dissector of ${service.name} finds none in the packet`;
      tell(reading, 'The key is the 4-tuple', because);
    }
    const lookup = this.lookUp(reading, service, flow, key);
    if (own.kind === 'server') {
      if (service.hasMember(own.dip)) {
        return { flow, lookup, ...this.sendToNamed(reading, service, flow, lookup, own.dip) };
      }
      const because = `it stands in no row of the table of ${service.name}`;
      tell(reading, `The packet names ${formatIpv4(own.dip)}, which is gone`, because);
    }
    if (lookup.hops.length === 0) {
      tell(reading, 'The packet is dropped', `row ${lookup.row} has no first hop`);
      return { reason: 'drop_empty_bucket', flow, lookup };
    }
    return { flow, lookup, ...this.sendOrKeep(reading, service, flow, lookup) };
  }

  /** Nobody else could have the flow: there is no second hop. */
  private sendToNamed(
    reading: ForwardReading,
    service: ForwarderService,
    flow: ForwardFlow,
    { hash }: Lookup,
    dip: number,
  ): Judgement {
    const { profile, site, packet, data } = reading;
    tell(
      reading,
      `The packet names ${formatIpv4(dip)}`,
      'the server wrote that into what the client sends back',
    );
    if (dip === site.address) {
      return { reason: 'accept_named', bytes: delivered(service.dissector, packet.slice(0, flow.length)) };
    }
    const envelope: Envelope = {
      source: site.address,
      destination: dip,
      sourcePort: sourcePortOf(profile, hash, flow.hint),
      destinationPort: site.port,
      hops: [],
      nextHop: 0,
    };
    return this.send(reading, flow, describeFlow(data, flow), envelope, 'forward_named');
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
    { hash, key, hops: [first, ...others] }: Lookup,
  ): Judgement {
    const { profile, site, packet, data } = reading;
    const name = describeFlow(data, flow);
    const envelope: Envelope = {
      source: site.address,
      destination: first,
      sourcePort: sourcePortOf(profile, hash, flow.hint),
      destinationPort: site.port,
      hops: others,
      nextHop: 0,
    };
    if (first !== site.address || profile.firstHopIsSelf === 'send') {
      return this.send(reading, flow, name, envelope, flow.quoted ? 'forward_icmp_error' : 'forward');
    }
    tell(reading, 'The redirector decides at once', 'the first hop is this server');
    const second = others.length === 0 ? null : others[0];
    const isSession = service.hasSession?.(key) ?? null;
    const reason = decideHere(reading, service, flow, second, isSession, this.sockets);
    if (reason === 'redirect' && second !== null) {
      return this.send(reading, flow, name, { ...envelope, destination: second, nextHop: 1 }, reason);
    }
    if (FORWARD_REASONS[reason].action === 'drop') return { reason };
    const whole = packet.slice(0, profile.padding === 'cut' ? flow.length : packet.length);
    return { reason, bytes: flow.quoted ? whole : delivered(service.dissector, whole) };
  }

  /** @param what belongs where it is sent, for people */
  private send(
    reading: ForwardReading,
    inner: Pick<ForwardFlow, 'version' | 'length'>,
    what: string,
    envelope: Envelope,
    reason: ForwardReason,
  ): Judgement {
    const { profile, site, packet } = reading;
    const length = overheadOf(envelope.hops) + inner.length;
    if (profile.mtu === 'of-wrapped' && length > site.mtu) {
      const sum = `${inner.length} + ${length - inner.length} = ${length} bytes`;
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
      `that is where ${what} belongs; it leaves with ${length} bytes, from port ${envelope.sourcePort}`,
    );
    const bytes = wrap(profile, packet, inner, envelope);
    return { reason, nextHop: envelope.destination, bytes, envelope };
  }
}
