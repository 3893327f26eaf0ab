import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import type { Stage } from '../../src/path/counters.js';
import type { Flows } from './flows.js';

/** The native twin (see native/): compiling it, loading it, calling it. */

const SOURCES = [
  'path.c',
  'sockets.c',
  'state.c',
  'twin.c',
  'loops.c',
  'ring.c',
  'capture.c',
  'hash-round.c',
];
const GENERATOR_SOURCES = ['generator.c'];
const FLAGS = ['-O2', '-Wall', '-Wextra', '-Werror'];

/** The C sources lie beside this file's source, not beside what the compiler made of it. */
const NATIVE = fileURLToPath(new URL('../../../test/bench/native/', import.meta.url));

export interface NativePrograms {
  /** The shared library of the twin. */
  readonly library: string;
  /** Sends packets for the I/O benchmarks. */
  readonly generator: string;
  /** Sends and receives bulk TCP. */
  readonly stream: string;
  /** Small requests and answers over TCP. */
  readonly pingpong: string;
  /** Bulk TCP the other way. */
  readonly download: string;
  /** Holds many connections. */
  readonly connections: string;
}

/** Compiles the twin into a temporary directory that is removed when the process ends. */
export function compileNative(): NativePrograms {
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const library = join(directory, 'twin.so');
  const generator = join(directory, 'generator');
  const stream = join(directory, 'stream');
  const pingpong = join(directory, 'pingpong');
  const download = join(directory, 'download');
  const connections = join(directory, 'connections');
  compile(['-shared', '-fPIC', '-o', library], SOURCES);
  compile(['-o', generator], GENERATOR_SOURCES);
  compile(['-o', stream], ['stream.c']);
  compile(['-o', pingpong], ['pingpong.c']);
  compile(['-o', download], ['download.c']);
  compile(['-o', connections], ['connections.c']);
  return { library, generator, stream, pingpong, download, connections };
}

function compile(output: readonly string[], sources: readonly string[]): void {
  try {
    execFileSync('gcc', [...FLAGS, ...output, ...sources.map((source) => join(NATIVE, source))], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch (cause) {
    throw new Error(
      `The native twin could not be compiled from ${dirname(NATIVE)}: the benchmarks need gcc and the C library's headers`,
      { cause },
    );
  }
}

/** A packet as one side left it. */
export interface Outcome {
  readonly verdict: number;
  readonly action: number;
  readonly trafficset: number;
  readonly nextHop: number;
  readonly bytes: Uint8Array;
}

/** One loaded twin: a state, and batches to process. */
export class Twin {
  private readonly functions: ReturnType<typeof bind>;
  private readonly handle: unknown;
  /** Referenced here because C keeps pointing into it. */
  private readonly blob: Uint32Array;
  private packets = 0;

  constructor(library: string, blob: Uint32Array) {
    this.functions = bind(library);
    this.blob = blob;
    this.handle = this.functions.create(this.blob, this.blob.length);
    if (this.handle === null) throw new Error('The native twin refused its configuration');
  }

  /** Prepares batches of 64 from these packets. */
  fill(packets: readonly Uint8Array[], slotSize: number, stage: Stage): void {
    const bytes = Buffer.concat(packets);
    const lengths = Int32Array.from(packets, (packet) => packet.length);
    this.functions.fill(this.handle, bytes, lengths, packets.length, slotSize, stage === 1);
    this.packets = packets.length;
  }

  /** Processes the packets `passes` times; nanoseconds per packet. */
  round(passes: number): number {
    return this.functions.round(this.handle, passes) / (passes * this.packets);
  }

  /**
   * Processes one packet each of `count` flows, in the slots of the first batch that {@link fill} made; nanoseconds
   * per packet.
   */
  stream(flows: Flows, first: number, count: number): number {
    return this.functions.stream(this.handle, flows.native, first, count) / count;
  }

  /** What the last pass made of packet `index`. */
  outcome(index: number): Outcome {
    const bytes = Buffer.alloc(65_536);
    const verdictAndAction = new Int32Array(1);
    const trafficset = new Int32Array(1);
    const nextHop = new Uint32Array(1);
    const length = this.functions.packet(this.handle, index, bytes, verdictAndAction, trafficset, nextHop);
    return {
      verdict: verdictAndAction[0] >> 8,
      action: verdictAndAction[0] & 0xff,
      trafficset: trafficset[0],
      nextHop: nextHop[0],
      bytes: bytes.subarray(0, length),
    };
  }

  /** Packets or bytes counted since the twin was made. */
  counted(stage: Stage, trafficset: number, verdict: number, what: 'packets' | 'bytes'): number {
    return this.functions.counted(this.handle, stage, trafficset, verdict, what === 'bytes');
  }

  /** `struct state *`, for the loops. */
  state(): unknown {
    return this.functions.state(this.handle);
  }

  close(): void {
    this.functions.destroy(this.handle);
  }
}

koffi.struct('flows', {
  model: 'uint8_t *',
  count: 'uint32_t',
  length: 'int32_t',
  source_at: 'int32_t',
  destination_at: 'int32_t',
  ports_at: 'int32_t',
  words: 'int32_t',
  destinations: 'uint32_t *',
  destination_count: 'uint32_t',
});

function bind(library: string) {
  const native = koffi.load(library);
  return {
    create: native.func('void *twin_new(const uint32_t *blob, int words)'),
    destroy: native.func('void twin_free(void *twin)'),
    state: native.func('void *twin_state(void *twin)'),
    fill: native.func(
      'void twin_fill(void *twin, const uint8_t *packets, const int32_t *lengths, int count, int slot_size, bool redirect)',
    ),
    round: native.func('double twin_round(void *twin, int passes)'),
    stream: native.func('double twin_stream(void *twin, const flows *flows, uint32_t first, int count)'),
    packet: native.func(
      'int twin_packet(void *twin, int index, uint8_t *out, int32_t *verdict, int32_t *trafficset, uint32_t *next_hop)',
    ),
    counted: native.func(
      'double twin_counted(void *twin, int stage, int trafficset, int verdict, bool bytes)',
    ),
  };
}
