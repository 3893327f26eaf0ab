import { Stage } from '../../path/counters.js';
import { Action } from '../../path/verdict.js';
import type { ForwardingTable } from '../../table/forwarding-table.js';
import { formatIpv4 } from '../../wire/address.js';
import { GueView } from '../../wire/gue.js';
import { FragmentKind, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IpPacket } from '../../wire/ip.js';
import { ipOffset, LINKTYPE } from '../../wire/link.js';
import { Reason } from '../../wire/reason.js';
import { UDP_AT_DESTINATION_PORT, UDP_HEADER } from '../../wire/udp.js';
import { dissect, type Layer } from '../dissect/dissect.js';
import type { ReplayFleet, ReplayServer } from '../fleet.js';
import { type LookupDetail, type StepDetail, StepTeller } from '../step-detail.js';
import { Traveller } from '../traveller.js';
import { type Account, accountOf } from './account.js';
import { type MtuArithmetic, mtuArithmetic } from './mtu.js';
import type { Frame } from './packet-argument.js';
import { type TableChange, tableChange } from './table-change.js';
import { type ServerCases, whatIf } from './what-if.js';
import { type TrafficsetReason, whyTrafficset } from './why-trafficset.js';

/** Everything there is to say about one packet. */
export interface Explanation {
  readonly origin: string;
  readonly layers: readonly Layer[];
  /** Why the rest is missing, where the frame holds no IP packet. */
  readonly noPath: string | null;
  readonly trafficset: TrafficsetReason | null;
  /** The look into the forwarding table: of the packet itself, or of the one that it wraps. */
  readonly lookup: LookupDetail | null;
  readonly steps: readonly ExplainedStep[];
  readonly servers: readonly ServerCases[];
  readonly mtu: MtuArithmetic | null;
  readonly change: TableChange | null;
}

export interface ExplainedStep extends StepDetail, Account {
  /** The packet that leaves, or that the kernel gets; null when it is dropped. */
  readonly bytes: Uint8Array | null;
  readonly layers: readonly Layer[];
}

/** @param against another table of the packet's trafficset, to compare with the one in use */
export function explain(
  frame: Frame,
  fleet: ReplayFleet,
  as: ReplayServer | null,
  against: ForwardingTable | null,
): Explanation {
  const guePort = fleet.cluster.underlay.port;
  const layers = dissect(frame.bytes, frame.linkType, { guePort, originalLength: frame.originalLength });
  const { bytes } = frame;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = ipOffset(frame.linkType, data, 0, bytes.length);
  const nothing = {
    origin: frame.origin,
    layers,
    trafficset: null,
    lookup: null,
    steps: [],
    servers: [],
    mtu: null,
    change: null,
  };
  if (at < 0) return { ...nothing, noPath: 'the frame carries no IP packet: a node would not see it' };
  const packet = whole(bytes, at, frame);

  const wrapped = wrappedFor(packet, fleet);
  const server = wrapped?.server ?? as ?? fleet.servers[0];
  const inner = wrapped === null ? packet : packet.subarray(wrapped.inner);
  const entry = new Entry(fleet, server, inner);
  const name = (dip: number) => fleet.nameOf(dip) ?? formatIpv4(dip);
  const stage = wrapped === null ? Stage.Forward : Stage.Redirect;
  return {
    ...nothing,
    noPath: null,
    trafficset: entry.why(),
    lookup: entry.lookup,
    steps: wayOf(fleet, packet, server, stage, guePort),
    servers: whatIf(fleet, packet, server, stage, name),
    mtu: entry.mtu(),
    change: against === null ? null : entry.change(against, name),
  };
}

/** What a snap length cut off is zeros here. */
function whole(bytes: Uint8Array, at: number, frame: Frame): Uint8Array {
  const packet = new Uint8Array(Math.max(bytes.length, frame.originalLength) - at);
  packet.set(bytes.subarray(at));
  return packet;
}

/** The server that a wrapped packet is addressed to, and where the inner packet begins; null for any other packet. */
function wrappedFor(packet: Uint8Array, fleet: ReplayFleet): { server: ReplayServer; inner: number } | null {
  const data = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const outer = new IpPacket();
  if (outer.parse(data, 0, packet.length) !== Reason.Ok || outer.version !== 4) return null;
  const server = fleet.at(data.getUint32(16));
  if (server === undefined || outer.protocol !== IP_PROTOCOL_UDP) return null;
  if (outer.end - outer.transport < UDP_HEADER) return null;
  if (data.getUint16(outer.transport + UDP_AT_DESTINATION_PORT) !== server.state.port) return null;
  const gue = new GueView();
  const isWhole = gue.attach(data, outer.transport + UDP_HEADER, outer.end) === Reason.Ok;
  return { server, inner: isWhole ? gue.payload : outer.end };
}

/** The packet without its wrapper before the forwarder of the server where it comes in: tried, not sent. */
class Entry {
  readonly lookup: LookupDetail | null;
  private readonly detail: StepDetail;
  private readonly traveller: Traveller;

  constructor(
    private readonly fleet: ReplayFleet,
    private readonly server: ReplayServer,
    private readonly inner: Uint8Array,
  ) {
    this.traveller = new Traveller(fleet, true);
    this.traveller.load(Buffer.from(inner), 0, inner.length, inner.length);
    this.traveller.start(server, Stage.Forward);
    this.traveller.step();
    this.detail = new StepTeller(fleet).detail(this.traveller);
    this.lookup = this.detail.lookup;
  }

  why(): TrafficsetReason | null {
    const { classifier } = this.server.trial.forwarder;
    const { flow, packet } = classifier;
    if (this.detail.flow !== null) {
      const words = wordsAt(flow.data, flow.destinationOffset, flow.version);
      return this.reason(words, flow.protocol, flow.destinationPort);
    }
    const data = new DataView(this.inner.buffer, this.inner.byteOffset, this.inner.byteLength);
    if (packet.parse(data, 0, this.inner.length) !== Reason.Ok) return null;
    const isPorted = packet.protocol === IP_PROTOCOL_TCP || packet.protocol === IP_PROTOCOL_UDP;
    const hasPorts = isPorted && packet.fragment === FragmentKind.None && packet.end - packet.transport >= 4;
    const port = hasPorts ? data.getUint16(packet.transport + UDP_AT_DESTINATION_PORT) : -1;
    return this.reason(wordsAt(data, packet.version === 4 ? 16 : 24, packet.version), packet.protocol, port);
  }

  private reason(words: readonly number[], protocol: number, port: number): TrafficsetReason {
    return whyTrafficset(this.fleet.cluster, this.server.state, words, protocol, port);
  }

  mtu(): MtuArithmetic | null {
    if (this.lookup === null) return null;
    const hops = this.lookup.secondHop === null ? 0 : 1;
    const { underlayMtu } = this.server.state;
    // The path parsed it: what lies behind its own length is not carried on.
    const { packet } = this.server.trial.forwarder.classifier;
    return mtuArithmetic(packet.end - packet.offset, packet.version, hops, underlayMtu);
  }

  change(after: ForwardingTable, name: (dip: number) => string): TableChange | null {
    const set = this.fleet.cluster.trafficsets.find((candidate) => candidate.name === this.detail.trafficset);
    const before = set === undefined ? undefined : this.fleet.tables.get(set.name);
    if (this.lookup === null || set === undefined || before === undefined) return null;
    return tableChange(this.server.trial.forwarder.keys.key, set, before, after, name);
  }
}

function wordsAt(data: DataView, offset: number, version: number): number[] {
  const count = version === 4 ? 1 : 4;
  return Array.from({ length: count }, (_, word) => data.getUint32(offset + 4 * word));
}

/** The packet's real way, with the sockets there are. */
function wayOf(
  fleet: ReplayFleet,
  packet: Uint8Array,
  server: ReplayServer,
  stage: Stage,
  guePort: number,
): ExplainedStep[] {
  const traveller = new Traveller(fleet);
  const teller = new StepTeller(fleet);
  const steps: ExplainedStep[] = [];
  if (!traveller.load(Buffer.from(packet), 0, packet.length, packet.length)) return steps;
  traveller.start(server, stage);
  do {
    const account = accountOf(traveller.server, traveller.stage, Uint8Array.from(traveller.batch.packet(0)));
    traveller.step();
    const bytes = traveller.action === Action.Drop ? null : Uint8Array.from(traveller.batch.packet(0));
    const layers = bytes === null ? [] : dissect(bytes, LINKTYPE.RAW, { guePort });
    steps.push({ ...teller.detail(traveller), ...account, bytes, layers });
  } while (traveller.follow());
  return steps;
}
