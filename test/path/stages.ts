import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import type { SocketLookup } from '../../src/path/sockets.js';
import { type PathConfig, PathState } from '../../src/path/state.js';
import { Action, VERDICTS } from '../../src/path/verdict.js';
import { formatIpv4 } from '../../src/wire/address.js';
import { FakeSockets } from './support.js';

/** Both stages of one node, fed with batches; what comes out in words. */

export interface Seen {
  readonly verdict: string;
  /** Where it goes, '' when nowhere. */
  readonly to: string;
  readonly bytes: Uint8Array;
}

export interface Copy {
  readonly to: string;
  readonly bytes: Uint8Array;
}

export class Stages {
  readonly state: PathState;
  readonly counters: PathCounters;
  readonly forwarder: Forwarder;
  readonly redirector: Redirector;
  /** What the last batch was copied to. */
  copies: Copy[] = [];
  private readonly batch = new PacketBatch({ capacity: 64 });

  constructor(config: PathConfig, sockets: SocketLookup = new FakeSockets()) {
    this.state = new PathState(config);
    this.counters = new PathCounters(config.trafficsets.length);
    this.forwarder = new Forwarder(this.state, this.counters, sockets, 64);
    this.redirector = new Redirector(this.state, this.counters, sockets, 64);
  }

  /** @param now in milliseconds */
  forward(packets: readonly Uint8Array[], now = 1): Seen[] {
    this.forwarder.now = now;
    return this.run(packets, () => {
      this.forwarder.process(this.batch);
      this.copies = [];
      for (let made = this.forwarder.nextCopies(this.batch); made !== null; ) {
        for (let i = 0; i < made.count; i++) {
          this.copies.push({ to: formatIpv4(made.nextHop[i]), bytes: Uint8Array.from(made.packet(i)) });
        }
        made = this.forwarder.nextCopies(this.batch);
      }
    });
  }

  redirect(packets: readonly Uint8Array[], now = 1): Seen[] {
    this.redirector.now = now;
    return this.run(packets, () => this.redirector.process(this.batch));
  }

  private run(packets: readonly Uint8Array[], process: () => void): Seen[] {
    const { batch } = this;
    batch.clear();
    for (const packet of packets) if (!batch.push(packet)) throw new Error('too much for a batch');
    process();
    return packets.map((_, i) => ({
      verdict: VERDICTS[batch.verdict[i]].name,
      to: batch.action[i] === Action.Send ? formatIpv4(batch.nextHop[i]) : '',
      bytes: Uint8Array.from(batch.packet(i)),
    }));
  }
}
