import { Stage } from '../../src/path/counters.js';
import { VERDICTS, Verdict } from '../../src/path/verdict.js';
import { encodeBlob } from './blob.js';
import { inWorker } from './in-worker.js';
import { ACK, buildPacket, type PacketFields, Random, SYN } from './packets.js';
import type { Row } from './report.js';
import { ScriptPath } from './script-path.js';
import { SocketSet } from './socket-set.js';
import { pairedRounds } from './stats.js';
import { Twin } from './twin.js';
import { BYSTANDER, pathConfig, SERVERS, socketOf, webPacket, wrapFor } from './workload.js';

/** Forwarder and redirector in memory: nanoseconds per packet against the native twin. */

const MAX_RATIO = 1.6;
/** Sixteen batches: more flows than a batch, and still in the second-level cache like a node's own batch. */
const PACKETS = 1024;
/** Rounds that are the optimising compiler's. */
const WARM_UP = 20;
/** Of the wrapper. */
const OVERHEAD = 40;

export interface MemoryCase {
  readonly name: string;
  readonly version: 4 | 6;
  readonly length: number;
  /** What every packet of the case must come to. */
  readonly verdict: number;
  /**
   * What the published eBPF redirector (Linux selftests, test_cls_redirect.c) takes for such a packet in the kernel of a
   * machine of this kind, in nanoseconds: the minimum of many rounds, with the kernel's own socket lookup.
   */
  readonly published?: number;
}

export const MEMORY_CASES: readonly MemoryCase[] = [
  { name: 'forward-ipv4-64', version: 4, length: 64, verdict: Verdict.Forward },
  { name: 'forward-ipv4-1400', version: 4, length: 1400, verdict: Verdict.Forward },
  { name: 'forward-ipv6-64', version: 6, length: 64, verdict: Verdict.Forward },
  { name: 'forward-ipv6-1400', version: 6, length: 1400, verdict: Verdict.Forward },
  { name: 'accept-ipv4', version: 4, length: 64, verdict: Verdict.AcceptEstablished, published: 108 },
  { name: 'accept-ipv6', version: 6, length: 64, verdict: Verdict.AcceptEstablished },
  { name: 'accept-syn-ipv4', version: 4, length: 64, verdict: Verdict.AcceptSyn, published: 77 },
  { name: 'accept-syn-ipv6', version: 6, length: 64, verdict: Verdict.AcceptSyn },
  { name: 'redirect-ipv4', version: 4, length: 64, verdict: Verdict.Redirect, published: 55 },
  { name: 'redirect-ipv6', version: 6, length: 64, verdict: Verdict.Redirect, published: 69 },
];

export interface MemoryOptions {
  readonly rounds: number;
  /** Passes over the packets per round and side. */
  readonly passes: number;
}

export interface MemoryInit {
  readonly name: string;
  readonly library: string;
  readonly options: MemoryOptions;
}

/** Measures a case in a worker thread. */
export function runMemory(init: MemoryInit): Promise<Row> {
  return inWorker(new URL('./memory-worker.js', import.meta.url), init);
}

export function benchMemory(library: string, which: MemoryCase, options: MemoryOptions): Row {
  const stage = which.verdict === Verdict.Forward ? Stage.Forward : Stage.Redirect;
  const dip = stage === Stage.Forward ? BYSTANDER : SERVERS[0];
  const random = new Random(7);
  const flows = Array.from({ length: PACKETS }, () =>
    webPacket(random, which.version, which.length, which.verdict === Verdict.AcceptSyn ? SYN : ACK),
  );
  // 10,000 sockets are listed in every case; where packets are to be redirected, they are other flows'.
  const strangers = Array.from({ length: 10_000 }, () => webPacket(random, which.version, 64));
  const sockets = [...(which.verdict === Verdict.AcceptEstablished ? flows : []), ...strangers].map(socketOf);
  const inputs = flows.map((fields: PacketFields) => {
    const packet = buildPacket(fields);
    return stage === Stage.Forward ? packet : wrapFor(dip, packet, random);
  });

  const config = pathConfig(dip);
  const script = new ScriptPath(config, new SocketSet(sockets));
  const twin = new Twin(library, encodeBlob(config, sockets));
  try {
    script.fill(inputs, which.length + OVERHEAD, stage);
    twin.fill(inputs, script.slotSize, stage);
    const paired = pairedRounds(
      options.rounds,
      WARM_UP,
      () => twin.round(options.passes),
      () => script.round(options.passes),
    );
    requireVerdict(script, which);
    return {
      name: which.name,
      unit: 'ns/packet',
      ...paired,
      bar: `ratio <= ${MAX_RATIO}`,
      pass: paired.ratio.median <= MAX_RATIO,
      ...(which.published === undefined
        ? {}
        : {
            notes: [
              `the published eBPF redirector takes ${which.published} ns, the kernel's lookup included`,
            ],
          }),
    };
  } finally {
    twin.close();
  }
}

/** A case that measures something else than it says would be worse than none. */
function requireVerdict(script: ScriptPath, which: MemoryCase): void {
  for (let index = 0; index < PACKETS; index++) {
    const { verdict } = script.outcome(index);
    if (verdict !== which.verdict) {
      throw new Error(`${which.name}: packet ${index} became ${VERDICTS[verdict].name}`);
    }
  }
}
