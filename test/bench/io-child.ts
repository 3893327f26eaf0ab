import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import koffi from 'koffi';
import { Poller, WakeEvent } from '../../src/io/poller.js';
import { RawSender } from '../../src/io/raw.js';
import { RingTunPort } from '../../src/io/ring-tun.js';
import { TunPort } from '../../src/io/tun.js';
import { GueReceiver } from '../../src/io/udp.js';
import { DataPlaneLoop } from '../../src/node/data-plane-loop.js';
import { BATCH_CAPACITY, PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { PathState } from '../../src/path/state.js';
import { formatIpv4 } from '../../src/table/address.js';
import { encodeBlob } from './blob.js';
import type { IoOptions } from './io.js';
import { ended, ip, MTU, PEER, setUpUnderlay, TUN, tunDrops, writePackets } from './io-network.js';
import { buildPacket, type PacketFields, Random } from './packets.js';
import type { Row } from './report.js';
import { type ListedSocket, SocketSet } from './socket-set.js';
import { pair } from './stats.js';
import { Twin } from './twin.js';
import { BYSTANDER, GUE_PORT, pathConfig, SERVERS, socketOf, webPacket, wrapFor } from './workload.js';

/**
 * Runs in namespaces made for it. A generator floods the TUN, or the GUE port over the loopback interface, and the
 * native loop and the node's loop take turns on the same TUN and the same sockets. What goes out to the underlay is
 * dropped by the far end of a veth pair, as it is addressed to another machine.
 */

const MIN_RATIO = 0.85;
const FLOWS = 4096;
const OUTER_SIZE = 28;
/** Turns that are the optimising compiler's. */
const WARM_UP = 10;
interface Case {
  readonly name: string;
  readonly direction: 'forward' | 'accept';
  readonly length: number;
  /** Whether the TUN's packets come and go in batches, through an io_uring; else each with its own system call. */
  readonly batched: boolean;
}

const CASES: readonly Case[] = [false, true].flatMap((batched) =>
  (['forward', 'accept'] as const).flatMap((direction) =>
    [64, 1400].map((length) => ({
      name: `tun-${batched ? 'batched-' : ''}${direction}-${length}`,
      direction,
      length,
      batched,
    })),
  ),
);

/** One side's turn: packets per second, and packets that the flooded queue had no room for. */
interface Turn {
  readonly rate: number;
  readonly overflow: number;
}

async function main(options: IoOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-io-'));
  try {
    setUpUnderlay();
    const rows: Row[] = [];
    for (const which of CASES) rows.push(await runCase(which, options, join(directory, which.name)));
    process.stdout.write(JSON.stringify(rows));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runCase(which: Case, options: IoOptions, file: string): Promise<Row> {
  const random = new Random(23);
  const flows = Array.from({ length: FLOWS }, (): PacketFields => webPacket(random, 4, which.length));
  const forward = which.direction === 'forward';
  // The loopback interface delivers PEER's packets for itself too, so the tables' other servers are the next hops.
  const dip = forward ? BYSTANDER : SERVERS[0];
  const packets = flows.map((fields) => {
    const packet = buildPacket(fields);
    return forward ? packet : wrapFor(dip, packet, random).subarray(OUTER_SIZE);
  });
  writePackets(file, packets);

  const plane = new BothPlanes(options, which.batched, dip, forward ? [] : flows.map(socketOf));
  const target = forward
    ? ['tun', TUN, file]
    : ['udp', formatIpv4(PEER), formatIpv4(dip), String(GUE_PORT), file];
  const generator = spawn('taskset', ['-c', '1', options.programs.generator, ...target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await Promise.race([setTimeout(200), ended(generator)]);
    return measure(which, plane, options.rounds);
  } finally {
    generator.kill('SIGKILL');
    plane.close();
  }
}

function measure(which: Case, plane: BothPlanes, rounds: number): Row {
  for (let i = 0; i < WARM_UP; i++) plane.script();
  const native: Turn[] = [];
  const script: Turn[] = [];
  for (let round = 0; round < rounds; round++) {
    native.push(plane.native());
    script.push(plane.script());
  }
  const paired = pair(
    native.map(({ rate }) => rate / 1000),
    script.map(({ rate }) => rate / 1000),
  );
  // A queue that never overflowed would mean that the generator set the pace, not the loop.
  const flooded = [...native, ...script].every(({ overflow }) => overflow > 0);
  return {
    name: which.name,
    unit: 'kpps',
    ...paired,
    bar: `ratio >= ${MIN_RATIO}`,
    pass: flooded && paired.ratio.median >= MIN_RATIO,
    notes: flooded ? [] : ['invalid: the generator could not keep the queue full'],
  };
}

/** The node's loop and its native twin on the same TUN, GUE socket and wake event. */
class BothPlanes {
  private readonly tun: TunPort | RingTunPort;
  private readonly gue: GueReceiver;
  private readonly underlay: RawSender;
  private readonly wake = WakeEvent.create();
  private readonly poller: Poller;
  private readonly loop: DataPlaneLoop;
  private readonly twin: Twin;
  private readonly nativeLoop: (...values: unknown[]) => number;
  private readonly slotSize: number;
  private readonly forward: boolean;
  private readonly milliseconds: number;

  constructor(options: IoOptions, batched: boolean, dip: number, listed: readonly ListedSocket[]) {
    this.tun = (batched ? RingTunPort : TunPort).open({ name: TUN, mtu: MTU });
    ip('link', 'set', TUN, 'up');
    this.forward = listed.length === 0;
    this.milliseconds = options.milliseconds;
    this.gue = GueReceiver.open({ dip, port: GUE_PORT, reusePort: true });
    this.underlay = RawSender.open({ sourceDip: dip });
    this.poller = new Poller([this.tun.fd, this.gue.fd, this.wake.fd]);
    const config = pathConfig(dip);
    const state = new PathState(config);
    const counters = new PathCounters(state.trafficsets.length);
    const sockets = new SocketSet(listed);
    this.loop = new DataPlaneLoop(
      { tun: this.tun, gue: this.gue, underlay: this.underlay },
      new Forwarder(state, counters, sockets, BATCH_CAPACITY),
      new Redirector(state, counters, sockets, BATCH_CAPACITY),
      sockets,
      { maxPacket: MTU },
    );
    this.slotSize = new PacketBatch({ maxPacket: MTU }).slotSize;
    this.twin = new Twin(options.programs.library, encodeBlob(config, listed));
    this.nativeLoop = koffi
      .load(options.programs.library)
      .func(
        `int twin_loop${batched ? '_batched' : ''}(void *state, int tun, int gue, int wake, int slot_size, int max_packet, double duration, double *out)`,
      );
  }

  native(): Turn {
    const out = new Float64Array(3);
    const before = this.overflow();
    const { tun, gue, wake } = this;
    const failed = this.nativeLoop(
      this.twin.state(),
      tun.fd,
      gue.fd,
      wake.fd,
      this.slotSize,
      MTU,
      this.milliseconds / 1000,
      out,
    );
    if (failed !== 0) throw new Error(`the native loop could not open its raw socket: errno ${failed}`);
    const [seconds, sent, delivered] = out;
    return { rate: (this.forward ? sent : delivered) / seconds, overflow: this.overflow() - before };
  }

  /** As the worker does it, without messages. */
  script(): Turn {
    const { loop, poller, wake } = this;
    const overflow = this.overflow();
    const done = this.done();
    const start = performance.now();
    let now = start;
    while (now - start < this.milliseconds) {
      poller.wait(100);
      if (poller.ready(2)) wake.drain();
      loop.drain();
      now = performance.now();
    }
    return { rate: ((this.done() - done) * 1000) / (now - start), overflow: this.overflow() - overflow };
  }

  private done(): number {
    return this.forward ? this.underlay.sent.packets : this.tun.sent.packets;
  }

  /** Packets that the flooded queue had no room for, so far. */
  private overflow(): number {
    return this.forward ? tunDrops() : this.gue.kernelDrops();
  }

  close(): void {
    this.twin.close();
    this.tun.close();
    this.gue.close();
    this.underlay.close();
    this.wake.close();
  }
}

await main(JSON.parse(process.argv[2]) as IoOptions);
