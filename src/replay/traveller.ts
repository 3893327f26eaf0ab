import { PacketBatch } from '../path/batch.js';
import { Stage } from '../path/counters.js';
import { Action, VERDICTS } from '../path/verdict.js';
import { GUE_MAX_HOPS } from '../wire/gue.js';
import { IPV6_HEADER } from '../wire/ipv6.js';
import type { ReplayFleet, ReplayServer, Stages } from './fleet.js';

/** The longest IPv6 packet without the jumbo option. */
export const LONGEST = 65_535 + IPV6_HEADER;

/** A stage per hop of the list and the first, then nothing can follow: `next_hop` only grows. */
const MOST_STEPS = GUE_MAX_HOPS + 2;
/** By verdict code: 1 for the forwarder's "none of my business". */
const PASSES = Uint8Array.from(VERDICTS, ({ name }) => (name.startsWith('pass_') ? 1 : 0));

/**
 * How a packet's way ended: taken in for a flow's socket, handed to the kernel as none of the load balancer's business,
 * dropped, on its way to another server, or on its way to an address that no server has.
 */
export type WayEnd = 'accepted' | 'passed' | 'dropped' | 'sent' | 'lost';

/** Where a packet comes in, and whether it is followed further than that. */
export interface Beginning {
  server: ReplayServer;
  stage: Stage;
  readonly journey: boolean;
}

/**
 * One packet on its way through the fleet, stage after stage, in a batch of one. The fields tell about the last step
 * until the next.
 */
export class Traveller {
  server: ReplayServer;
  stage: Stage = Stage.Forward;
  /** Where the packet lay in the arena when the stage began, and how long it was. */
  offset = 0;
  length = 0;
  /** Steps made so far. */
  steps = 0;
  /** Set when the packet was sent to an address that no server has. */
  lost = false;
  /** One past the last byte that the capture holds; behind it are zeros. */
  present = 0;
  /** The stages' clock in milliseconds, above 0: how old the first fragment of a datagram is. */
  now = 1;

  /** @param isTrial nothing is counted, and no socket learns of the packets */
  constructor(
    private readonly fleet: ReplayFleet,
    private readonly isTrial = false,
    readonly batch = new PacketBatch({ capacity: 1, maxPacket: LONGEST }),
  ) {
    this.server = fleet.servers[0];
  }

  /**
   * Lays a packet into the arena.
   * @param offset of its IP header in `bytes`
   * @param present bytes that are there; @param length bytes that it had on the wire: zeros stand for the rest
   * @returns false when it is longer than any IP packet can be
   */
  load(bytes: Buffer, offset: number, present: number, length: number): boolean {
    const { batch } = this;
    if (length > LONGEST) return false;
    const at = batch.payloadOffset(0);
    bytes.copy(batch.bytes, at, offset, offset + present);
    if (length > present) batch.bytes.fill(0, at + present, at + length);
    this.present = at + present;
    batch.offset[0] = at;
    batch.length[0] = length;
    return true;
  }

  /** Puts the loaded packet before a stage of a server. */
  start(server: ReplayServer, stage: Stage): void {
    this.server = server;
    this.stage = stage;
    this.steps = 0;
  }

  /** The stage decides. */
  step(): void {
    const { batch, server } = this;
    this.offset = batch.offset[0];
    this.length = batch.length[0];
    batch.count = 1;
    batch.verdict[0] = 0;
    batch.action[0] = 0;
    batch.nextHop[0] = 0;
    batch.trafficset[0] = -1;
    batch.flowHash[0] = 0;
    const { forwarder, redirector } = this.stages;
    if (this.stage === Stage.Forward) {
      forwarder.now = this.now;
      forwarder.process(batch);
    } else {
      redirector.now = this.now;
      redirector.process(batch);
    }
    this.lost = batch.action[0] === Action.Send && this.fleet.at(batch.nextHop[0]) === undefined;
    if (!this.isTrial && batch.action[0] === Action.Deliver) server.sockets.delivered();
    this.steps++;
  }

  /** Goes on to the server that the packet was sent to; false when the journey ended here. */
  follow(): boolean {
    const { batch } = this;
    if (batch.action[0] !== Action.Send || this.steps === MOST_STEPS) return false;
    const next = this.fleet.at(batch.nextHop[0]);
    if (next === undefined) return false;
    this.server = next;
    this.stage = Stage.Redirect;
    return true;
  }

  /** The stages that judge, or judged last: they know what they took the packet for. */
  get stages(): Stages {
    return this.isTrial ? this.server.trial : this.server.stages;
  }

  get verdict(): number {
    return this.batch.verdict[0];
  }

  get action(): Action {
    return this.batch.action[0] as Action;
  }

  get end(): WayEnd {
    if (this.action === Action.Drop) return 'dropped';
    if (this.action === Action.Send) return this.lost ? 'lost' : 'sent';
    return PASSES[this.verdict] === 1 ? 'passed' : 'accepted';
  }

  /** Bytes of the packet, as the last step left it, that the capture holds. */
  get captured(): number {
    const { batch } = this;
    return Math.max(0, Math.min(batch.length[0], this.present - batch.offset[0]));
  }
}
