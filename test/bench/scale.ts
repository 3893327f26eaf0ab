import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { Stage } from '../../src/path/counters.js';
import type { PathConfig } from '../../src/path/state.js';
import { VERDICTS, Verdict } from '../../src/path/verdict.js';
import { type Prefix, parsePrefix } from '../../src/table/address.js';
import { ALL_PORTS, type TrafficsetConfig } from '../../src/table/trafficset.js';
import { type SharedVips, VipMatcher } from '../../src/table/vip-matcher.js';
import { encodeBlob } from './blob.js';
import { Flows } from './flows.js';
import { inWorker } from './in-worker.js';
import { ACK, buildPacket, TCP, wrapPacket } from './packets.js';
import type { Row } from './report.js';
import { ScriptPath } from './script-path.js';
import { SocketSet } from './socket-set.js';
import { pair, spreadOf } from './stats.js';
import { Twin } from './twin.js';
import { manyRanges } from './vips.js';
import { BYSTANDER, buildTable, GUE_PORT, pathConfig, SERVERS } from './workload.js';

/**
 * What size costs in memory: two million flows over 100,000 VIP ranges and 1,048,576 buckets. Flows come in random
 * order, so that nearly every packet needs rows of the tables that no cache near has. Told beside, for both
 * implementations: what is left of their pace with a thousand flows, one range of each family and 4096 buckets. What is
 * left of a node's pace says `scale-tun` (pace.ts).
 */

const MAX_RATIO = 1.6;
export const LARGE = { flows: 2_000_000, ranges: 100_000, buckets: 1_048_576 } as const;
export const SMALL = { flows: 1024, ranges: 2, buckets: 4096 } as const;
/** Packets per round and side. */
const PER_ROUND = 65_536;
const WARM_UP = 20;
/** What wrapping adds without a second hop, and with one. */
const OVERHEAD = 36;
const HOP = 4;

interface Size {
  readonly flows: number;
  readonly ranges: number;
  readonly buckets: number;
}

export interface ScaleCase {
  readonly name: string;
  readonly version: 4 | 6;
  /** Of the packet as it comes. */
  readonly length: number;
  readonly verdict: number;
}

export const SCALE_CASES: readonly ScaleCase[] = [
  { name: 'scale-forward-ipv4', version: 4, length: 64, verdict: Verdict.Forward },
  { name: 'scale-forward-ipv6', version: 6, length: 64, verdict: Verdict.Forward },
  { name: 'scale-accept-ipv4', version: 4, length: 64 + OVERHEAD, verdict: Verdict.AcceptLastHop },
];

export interface ScaleInit {
  readonly name: string;
  readonly library: string;
  readonly rounds: number;
}

/** Measures a case in a worker thread. */
export function runScale(init: ScaleInit): Promise<Row> {
  return inWorker(new URL('./scale-worker.js', import.meta.url), init);
}

export function benchScale(which: ScaleCase, library: string, rounds: number): Row {
  const large = new Side(which, LARGE, library);
  const small = new Side(which, SMALL, library);
  try {
    const sides = [() => small.native(), () => small.script(), () => large.native(), () => large.script()];
    const samples = sides.map((): number[] => []);
    for (let round = -WARM_UP; round < rounds; round++) {
      for (const [index, side] of sides.entries()) {
        const value = side();
        if (round >= 0) samples[index].push(value);
      }
    }
    const [smallNative, smallScript, largeNative, largeScript] = samples;
    const paired = pair(largeNative, largeScript);
    const keeps = (before: readonly number[], after: readonly number[]) => {
      // Packets per second are the inverse of nanoseconds per packet.
      const { native, ratio } = pair(after, before);
      const [least, middle, most] = [ratio.min, ratio.median, ratio.max].map((share) => share.toFixed(2));
      return `${middle} (${least} to ${most}) of the pace with small tables: ${native.median.toFixed(0)} ns per packet after ${spreadOf(before).median.toFixed(0)} ns`;
    };
    const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    return {
      name: which.name,
      unit: 'ns/packet',
      ...paired,
      bar: `ratio <= ${MAX_RATIO}`,
      pass: paired.ratio.median <= MAX_RATIO,
      notes: [
        `keeps ${keeps(smallScript, largeScript)}`,
        `the C twin keeps ${keeps(smallNative, largeNative)}`,
        `memory, shared by all workers: ${megabytes(large.tableBytes)} MiB of buckets, ${megabytes(large.vipBytes)} MiB of VIPs, nothing for flows`,
      ],
    };
  } finally {
    large.close();
    small.close();
  }
}

/** Both implementations over tables of one size. */
class Side {
  readonly tableBytes: number;
  readonly vipBytes: number;
  private readonly path: ScriptPath;
  private readonly twin: Twin;
  private readonly flows: Flows;
  private readonly next = { native: 0, script: 0 };

  constructor(
    private readonly which: ScaleCase,
    size: Size,
    library: string,
  ) {
    const forward = which.verdict === Verdict.Forward;
    const stage = forward ? Stage.Forward : Stage.Redirect;
    const { config, prefixes } = configOf(forward ? BYSTANDER : SERVERS[0], size);
    const [{ table }] = config.trafficsets;
    this.tableBytes = table?.rows.byteLength ?? 0;
    this.vipBytes = bytesOf(config.vips);
    const ranges = prefixes.filter(({ version }) => version === which.version);
    this.flows = flowsOf(which, ranges, size.flows);
    this.path = new ScriptPath(config, new SocketSet([]));
    this.twin = new Twin(library, encodeBlob(config, []));
    const first = new Uint8Array(which.length);
    this.flows.write(0, new DataView(first.buffer), 0);
    this.path.fill(new Array(64).fill(first), which.length + OVERHEAD + HOP, stage);
    this.twin.fill(new Array(64).fill(first), this.path.slotSize, stage);
    this.requireVerdict();
  }

  native(): number {
    return this.twin.stream(this.flows, this.window('native'), PER_ROUND);
  }

  script(): number {
    return this.path.stream(this.flows, this.window('script'), PER_ROUND);
  }

  /** First flow of a round: where the last one ended. */
  private window(side: 'native' | 'script'): number {
    const from = this.next[side];
    this.next[side] = from + PER_ROUND;
    return from;
  }

  /** A case that measures something else than it says would be worse than none. */
  private requireVerdict(): void {
    this.script();
    this.path.counted((_stage, _trafficset, verdict, packets) => {
      if (packets > 0 && verdict !== this.which.verdict) {
        throw new Error(`${this.which.name}: ${packets} packets became ${VERDICTS[verdict].name}`);
      }
    });
  }

  close(): void {
    this.twin.close();
  }
}

export function configOf(dip: number, { ranges, buckets }: Size): { config: PathConfig; prefixes: Prefix[] } {
  const texts = ranges === SMALL.ranges ? ['192.0.2.0/24', '2001:db8:100::/64'] : manyRanges(ranges);
  const prefixes = texts.map(parsePrefix);
  const trafficset: TrafficsetConfig = {
    kind: 'tcp',
    name: 'web',
    ports: [ALL_PORTS],
    vips: prefixes,
    dissector: FOUR_TUPLE_SPEC,
    table: '',
  };
  const base = pathConfig(dip);
  return {
    prefixes,
    config: {
      ...base,
      vips: VipMatcher.build([trafficset]).shared(),
      trafficsets: [
        { ...base.trafficsets[0], protocols: [TCP], table: buildTable('web', 1, 1, buckets).shared() },
      ],
    },
  };
}

function bytesOf({ ipv4, ipv6, services }: SharedVips): number {
  const arrays = [
    ...[ipv4, ipv6].flatMap(({ starts, services, cells }) => [starts, services, cells]),
    ...[services.firstSegment, services.segmentStart, services.segmentTrafficset, services.anyPort],
  ];
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

export function flowsOf(
  { version, length, verdict }: ScaleCase,
  ranges: readonly Prefix[],
  count: number,
): Flows {
  const inner = buildPacket({
    version,
    protocol: TCP,
    source: 0,
    destination: 0,
    sourcePort: 0,
    destinationPort: 443,
    tcpFlags: ACK,
    length: 64,
  });
  const model =
    verdict === Verdict.Forward ? inner : wrapPacket(inner, SERVERS[1], SERVERS[0], 0x8000, GUE_PORT, 0);
  if (model.length !== length) throw new Error(`the packet has ${model.length} bytes, not ${length}`);
  return new Flows(model, length - inner.length, ranges, count);
}
