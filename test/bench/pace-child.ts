import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Poller, WakeEvent } from '../../src/io/poller.js';
import { RawSender } from '../../src/io/raw.js';
import { CachedSockets } from '../../src/io/socket-cache.js';
import { TunPort } from '../../src/io/tun.js';
import { GueReceiver } from '../../src/io/udp.js';
import { DataPlaneLoop } from '../../src/node/data-plane-loop.js';
import { widenInlining } from '../../src/node/engine.js';
import { BATCH_CAPACITY } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { type PathConfig, PathState } from '../../src/path/state.js';
import { VERDICTS, Verdict } from '../../src/path/verdict.js';
import { formatIpv4 } from '../../src/table/address.js';
import { ended, ip, MTU, PEER, setUpUnderlay, TUN, tunDrops, writePackets } from './io-network.js';
import type { PaceOptions, PaceResult } from './pace.js';
import { ACK, buildPacket, Random, TCP, wrapPacket } from './packets.js';
import { configOf, flowsOf, LARGE, SCALE_CASES, SMALL } from './scale.js';
import { BYSTANDER, GUE_PORT, pathConfig, SERVERS, VIP4, WEB_PORT } from './workload.js';

/**
 * Runs in namespaces made for it. Two loops of the node share one TUN and one GUE socket, and take turns; each has a
 * generator, which sleeps while it is the other's turn.
 */

/** Turns that are the optimising compiler's. */
const WARM_UP = 10;
/** How long a generator floods before its turn counts, in milliseconds: what the other left has gone by then. */
const LEAD = 10;
const CONNECTIONS = 10_000;
/** As native/connections.c has them. */
const PORTS = 400;
const FIRST_PORT = 10_000;
const CLIENTS = 0x64400001; // 100.64.0.1
const OUTER_SIZE = 28;
/** The generator's file holds no more. */
const MOST_PACKETS = 65_536;

interface Setting {
  readonly config: PathConfig;
  /** What every packet must come to. */
  readonly verdict: number;
  /** The generator's words. */
  readonly flood: readonly string[];
}

interface Turn {
  /** Packets per second. */
  readonly rate: number;
  /** Packets that the flooded queue had no room for. */
  readonly overflow: number;
}

async function main(options: PaceOptions): Promise<void> {
  widenInlining();
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-pace-'));
  const running: ChildProcess[] = [];
  try {
    setUpUnderlay();
    const file = (name: string) => join(directory, name);
    const forward = options.which === 'scale-tun';
    const settings = forward
      ? [scaleSetting(SMALL, file('small')), scaleSetting(LARGE, file('large'))]
      : [lookupSetting(0, file('without')), lookupSetting(SERVERS[2], file('with'))];
    const node = new Node(forward ? BYSTANDER : SERVERS[0], options.milliseconds, forward);
    if (!forward) running.push(await holdConnections(options));
    const turns: (() => Turn)[] = [];
    for (const setting of settings) turns.push(await node.turns(setting, options, running));
    const samples = turns.map((): number[] => []);
    let notFlooded = 0;
    for (let round = -WARM_UP; round < options.rounds; round++) {
      for (const [index, turn] of turns.entries()) {
        const { rate, overflow } = turn();
        if (round < 0) continue;
        samples[index].push(rate / 1000);
        if (overflow === 0) notFlooded++;
      }
    }
    const result: PaceResult = { without: samples[0], with: samples[1], notFlooded, notes: node.notes() };
    node.close();
    process.stdout.write(JSON.stringify(result));
  } finally {
    for (const child of running) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

function scaleSetting(size: typeof SMALL | typeof LARGE, file: string): Setting {
  const [which] = SCALE_CASES;
  const { config, prefixes } = configOf(BYSTANDER, size);
  const flows = flowsOf(
    which,
    prefixes.filter(({ version }) => version === which.version),
    size.flows,
  );
  writePackets(
    file,
    Array.from({ length: Math.min(size.flows, MOST_PACKETS) }, (_, flow) => {
      const packet = new Uint8Array(which.length);
      flows.write(flow, new DataView(packet.buffer), 0);
      return packet;
    }),
  );
  return { config, verdict: Verdict.Forward, flood: ['tun', TUN, file, String(size.flows)] };
}

/** @param hop that every packet names as its second one; 0 for none */
function lookupSetting(hop: number, file: string): Setting {
  const random = new Random(5);
  const packets = Array.from({ length: CONNECTIONS }, (_, index) => {
    const packet = buildPacket({
      version: 4,
      protocol: TCP,
      source: CLIENTS + Math.floor(index / PORTS),
      destination: VIP4 + 1,
      sourcePort: FIRST_PORT + (index % PORTS),
      destinationPort: WEB_PORT,
      tcpFlags: ACK,
      length: 64,
    });
    return wrapPacket(packet, PEER, SERVERS[0], 0x8000 | random.below(0x8000), GUE_PORT, hop);
  });
  writePackets(
    file,
    packets.map((packet) => packet.subarray(OUTER_SIZE)),
  );
  return {
    config: pathConfig(SERVERS[0]),
    verdict: hop === 0 ? Verdict.AcceptLastHop : Verdict.AcceptEstablished,
    flood: ['udp', formatIpv4(PEER), formatIpv4(SERVERS[0]), String(GUE_PORT), file],
  };
}

/** Live connections of this namespace's kernel with itself. */
async function holdConnections({ programs }: PaceOptions): Promise<ChildProcess> {
  ip('route', 'add', 'local', '192.0.2.0/24', 'dev', 'lo');
  ip('route', 'add', 'local', '100.64.0.0/16', 'dev', 'lo');
  // The clients of what comes from the TUN live here too; and their sequence numbers are no reason for answers.
  for (const setting of [
    'net.ipv4.conf.all.rp_filter=0',
    `net.ipv4.conf.${TUN}.rp_filter=0`,
    `net.ipv4.conf.${TUN}.accept_local=1`,
    'net.ipv4.tcp_invalid_ratelimit=1000000',
  ]) {
    execFileSync('sysctl', ['-qw', setting]);
  }
  const words = [formatIpv4(VIP4 + 1), String(WEB_PORT), formatIpv4(CLIENTS), String(CONNECTIONS)];
  const child = spawn(programs.connections, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([once(child.stdout, 'data'), ended(child)]);
  return child;
}

/** Returns when it does nothing any more: it may be in the middle of a batch. */
function stop(generator: ChildProcess): void {
  generator.kill('SIGSTOP');
  // Stopped, or ended.
  while (!/\) [TZ] /.test(readFileSync(`/proc/${generator.pid}/stat`, 'utf8'))) {}
}

class Node {
  private readonly tun = TunPort.open({ name: TUN, mtu: MTU });
  private readonly gue: GueReceiver;
  private readonly underlay: RawSender;
  private readonly wake = WakeEvent.create();
  private readonly poller: Poller;
  private readonly sockets = CachedSockets.overKernel(CachedSockets.sharedState());

  constructor(
    dip: number,
    private readonly milliseconds: number,
    private readonly forward: boolean,
  ) {
    ip('link', 'set', TUN, 'up');
    this.gue = GueReceiver.open({ dip, port: GUE_PORT, reusePort: true });
    this.underlay = RawSender.open({ sourceDip: dip });
    this.poller = new Poller([this.tun.fd, this.gue.fd, this.wake.fd]);
  }

  private loop(config: PathConfig): { loop: DataPlaneLoop; counters: PathCounters } {
    const state = new PathState(config);
    const counters = new PathCounters(state.trafficsets.length);
    const { tun, gue, underlay, sockets } = this;
    const loop = new DataPlaneLoop(
      { tun, gue, underlay },
      new Forwarder(state, counters, sockets, BATCH_CAPACITY),
      new Redirector(state, counters, sockets, BATCH_CAPACITY),
      sockets,
      { maxPacket: MTU },
    );
    return { loop, counters };
  }

  /** Starts the setting's generator, and stops it. @returns what runs one turn */
  async turns(setting: Setting, { programs }: PaceOptions, running: ChildProcess[]): Promise<() => Turn> {
    const { loop, counters } = this.loop(setting.config);
    // What a generator left that was stopped is not for the other.
    const rest = this.loop(droppingAll(setting.config)).loop;
    const generator = spawn('taskset', ['-c', '1', programs.generator, ...setting.flood], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    running.push(generator);
    // Until it has read its file.
    await Promise.race([setTimeout(300), ended(generator)]);
    stop(generator);
    this.empty(rest);
    return () => {
      generator.kill('SIGCONT');
      this.run(loop, LEAD);
      const overflow = this.overflow();
      const done = this.done();
      const took = this.run(loop, this.milliseconds);
      const rate = ((this.done() - done) * 1000) / took;
      const lost = this.overflow() - overflow;
      stop(generator);
      this.empty(rest);
      requireVerdict(counters, setting.verdict);
      return { rate, overflow: lost };
    };
  }

  /** As the worker does it, without messages. @returns milliseconds */
  private run(loop: DataPlaneLoop, milliseconds: number): number {
    const start = performance.now();
    let now = start;
    while (now - start < milliseconds) {
      this.poller.wait(100);
      loop.drain(this.poller.ready(0), this.poller.ready(1));
      now = performance.now();
    }
    return now - start;
  }

  /** Until nothing comes any more. */
  private empty(loop: DataPlaneLoop): void {
    for (let quiet = 0; quiet < 3; ) {
      this.poller.wait(2);
      quiet = loop.drain() === 0 ? quiet + 1 : 0;
    }
  }

  notes(): string[] {
    if (this.forward)
      return ['two million flows over 100,000 VIP ranges and 1,048,576 buckets, against 1024 flows'];
    const { hits, misses, kernelLookups } = this.sockets.counters;
    return [
      `${CONNECTIONS} live connections; ${((100 * hits) / (hits + misses)).toFixed(1)} % of ${hits + misses} lookups answered from memory, ${kernelLookups} asked of the kernel`,
    ];
  }

  private done(): number {
    return this.forward ? this.underlay.sent.packets : this.tun.sent.packets;
  }

  private overflow(): number {
    return this.forward ? tunDrops() : this.gue.kernelDrops();
  }

  close(): void {
    for (const port of [this.tun, this.gue, this.underlay, this.wake, this.sockets]) port.close();
  }
}

/** A node with another DIP and without tables. */
function droppingAll(config: PathConfig): PathConfig {
  const trafficsets = config.trafficsets.map((trafficset) => ({ ...trafficset, table: null }));
  return { ...config, dip: config.dip + 1, trafficsets };
}

/** A case that measures something else than it says would be worse than none. */
function requireVerdict(counters: PathCounters, expected: number): void {
  counters.forEach((_stage, _trafficset, verdict, packets) => {
    // What the kernel itself sends into the TUN, such as router solicitations, is no VIP's.
    if (packets > 0 && verdict !== expected && verdict !== Verdict.PassNotVip) {
      throw new Error(`${packets} packets became ${VERDICTS[verdict].name}`);
    }
  });
}

await main(JSON.parse(process.argv[2]) as PaceOptions);
