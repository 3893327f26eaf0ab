import { fileURLToPath } from 'node:url';
import { runEnclosed } from './enclosed.js';
import type { Row } from './report.js';
import { pair, spreadOf } from './stats.js';
import type { NativePrograms } from './twin.js';

/**
 * What is left of downloads through one VIP while another is flooded with SYNs, as fast as one core can send them. The
 * flood takes its core either way: so the downloads are compared with those under the same flood to an address that the
 * router drops; see syn-flood-child.ts.
 */

const CHILD = fileURLToPath(new URL('./syn-flood-child.js', import.meta.url));
const LEAST = 0.7;
/** MiB. The heaps of the data planes breathe by a few; and so does the rest of the machine. */
const MOST_GROWTH = 8;
/** The default of `node.syn_rate`. */
const SYN_RATE = 20_000;

export type FloodMode = 'plain' | 'offload';

export interface SynFloodOptions {
  readonly programs: NativePrograms;
  readonly rounds: number;
  /** That count, of one turn. */
  readonly seconds: number;
  /** SYNs per second that the load balancer lets in; null: all. */
  readonly synRate: number | null;
}

/** MiB: of both data planes, and of the kernel's slabs, where packets and sockets are. */
export interface Held {
  readonly resident: number;
  readonly kernel: number;
}

export interface FloodRound {
  /** Megabits per second: without any flood, under one that the router drops, under one against another VIP. */
  readonly rates: Readonly<Record<'none' | 'dropped' | 'vip', number>>;
  /** Around the flood against the VIP. */
  readonly before: Held;
  readonly during: Held;
  /** SYNs per second that reached the load balancer's interface, and packets that its TUN took. */
  readonly sent: number;
  readonly taken: number;
  /** Those per second that reached it for the address that it drops. */
  readonly dropped: number;
}

export type SynFloodResult = Readonly<Record<FloodMode, readonly FloodRound[]>>;

/** @throws when the child fails; it says why on standard error */
export function benchSynFlood(programs: NativePrograms): Row[] {
  const options: SynFloodOptions = { programs, rounds: 4, seconds: 0.4, synRate: SYN_RATE };
  const { plain, offload } = runEnclosed<SynFloodResult>(CHILD, options, 'the benchmark of a SYN flood');
  return [
    rateRow('syn-flood', plain),
    rateRow('syn-flood-offload', offload),
    memoryRow(
      'syn-flood-memory',
      plain
        .slice(1)
        .map(
          ({ during }, round) =>
            during.resident -
            plain[0].during.resident +
            offload[round + 1].during.resident -
            offload[0].during.resident,
        ),
      'four data planes, under later floods, against what they held under the first',
    ),
    memoryRow(
      'syn-flood-kernel-memory',
      [...plain, ...offload].map(({ before, during }) => during.kernel - before.kernel),
      "the kernel's slabs, of the whole machine, under a flood, against what they were right before it",
    ),
  ];
}

function rateRow(name: string, rounds: readonly FloodRound[]): Row {
  const { native, js, ratio } = pair(
    rounds.map(({ rates }) => rates.dropped),
    rounds.map(({ rates }) => rates.vip),
  );
  const middle = (numbers: readonly number[]) => spreadOf(numbers).median;
  const thousands = (numbers: readonly number[]) => Math.round(middle(numbers) / 1000);
  const calm = middle(rounds.map(({ rates }) => rates.none));
  const ofCalm = middle(rounds.map(({ rates }) => rates.vip / rates.none));
  const sent = thousands(rounds.map((round) => round.sent));
  const taken = thousands(rounds.map((round) => round.taken));
  return {
    name,
    unit: 'Mbit/s',
    native,
    js,
    ratio,
    bar: `ratio >= ${LEAST}`,
    pass: ratio.median >= LEAST,
    notes: [
      'the first column is under the same flood to an address that the router drops',
      `without any flood, which takes one of the processors: ${calm.toFixed(0)} Mbit/s, of which ${ofCalm.toFixed(2)} are left`,
      `${sent} thousand SYNs per second came, ${taken} thousand packets went into the TUN`,
    ],
  };
}

function memoryRow(name: string, growth: readonly number[], what: string): Row {
  const js = spreadOf(growth);
  return {
    name,
    unit: 'MiB more',
    js,
    bar: `median <= ${MOST_GROWTH}`,
    pass: js.median <= MOST_GROWTH,
    notes: [what],
  };
}
