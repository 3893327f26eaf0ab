import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { formatIpv4 } from '../../src/table/address.js';
import { BothPlanes, type Moved } from './both-planes.js';
import type { IoOptions } from './io.js';
import { ended, PEER, setUpUnderlay, TUN, tunDrops, writePackets } from './io-network.js';
import { buildPacket, type PacketFields, Random } from './packets.js';
import type { Row } from './report.js';
import { pair } from './stats.js';
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

  const plane = new BothPlanes({
    tun: TUN,
    batched: which.batched,
    config: pathConfig(dip),
    listed: forward ? [] : flows.map(socketOf),
    library: options.programs.library,
  });
  const target = forward
    ? ['tun', TUN, file]
    : ['udp', formatIpv4(PEER), formatIpv4(dip), String(GUE_PORT), file];
  const generator = spawn('taskset', ['-c', '1', options.programs.generator, ...target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await Promise.race([setTimeout(200), ended(generator)]);
    return measure(which, plane, options);
  } finally {
    generator.kill('SIGKILL');
    plane.close();
  }
}

function measure(which: Case, plane: BothPlanes, { rounds, milliseconds }: IoOptions): Row {
  const forward = which.direction === 'forward';
  const turn = (side: (milliseconds: number) => Moved): Turn => {
    const overflow = () => (forward ? tunDrops() : plane.gue.kernelDrops());
    const before = overflow();
    const { start, end, sent, delivered } = side(milliseconds);
    return { rate: (forward ? sent : delivered) / (end - start), overflow: overflow() - before };
  };
  const nativeTurn = () => turn((time) => plane.native(time));
  const scriptTurn = () => turn((time) => plane.script(time));
  for (let i = 0; i < WARM_UP; i++) scriptTurn();
  const native: Turn[] = [];
  const script: Turn[] = [];
  for (let round = 0; round < rounds; round++) {
    native.push(nativeTurn());
    script.push(scriptTurn());
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

await main(JSON.parse(process.argv[2]) as IoOptions);
