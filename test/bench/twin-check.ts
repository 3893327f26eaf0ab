import { Stage } from '../../src/path/counters.js';
import { VERDICT_COUNT, VERDICTS } from '../../src/path/verdict.js';
import { encodeBlob } from './blob.js';
import {
  buildPacket,
  damaged,
  icmpError,
  type PacketFields,
  Random,
  reversed,
  SYN,
  withExtensions,
} from './packets.js';
import { ScriptPath } from './script-path.js';
import { type ListedSocket, SocketSet } from './socket-set.js';
import { type Outcome, Twin } from './twin.js';
import { BYSTANDER, pathConfig, SERVERS, socketOf, udpPacket, webPacket, wrapFor } from './workload.js';

/** Before anything is timed: do the twin and the TypeScript path make the same bytes of the same packets? */

const MAX_PACKET = 2048;
/** Row of the counters for packets of no trafficset. */
const NO_TRAFFICSET = -1;

/**
 * Sends ordinary and odd packets through both, at a node of the tables and at one outside them, and compares verdict,
 * action, trafficset, next hop, bytes and counters.
 * @returns how many packets were compared, and how many distinct verdicts they had
 * @throws with the first difference
 */
export function checkTwin(library: string, count: number): { packets: number; verdicts: number } {
  const random = new Random(1);
  const verdicts = new Set<number>();
  let packets = 0;
  for (const dip of [SERVERS[0], BYSTANDER]) {
    const flows = Array.from({ length: 512 }, () => flow(random));
    const sockets = flows.filter((_, index) => index % 2 === 0).map(socketOf);
    for (const stage of [Stage.Forward, Stage.Redirect]) {
      const inputs = Array.from({ length: Math.ceil(count / 4) }, () => input(random, flows, dip, stage));
      for (const verdict of compare(library, dip, sockets, stage, inputs)) verdicts.add(verdict);
      packets += inputs.length;
    }
  }
  return { packets, verdicts: verdicts.size };
}

/** Packets of all kinds for one stage of the node at `dip`, and the sockets that half of their flows have there. */
export function oddPackets(
  dip: number,
  stage: Stage,
  count: number,
): { packets: Uint8Array[]; sockets: ListedSocket[] } {
  const random = new Random(1);
  const flows = Array.from({ length: 512 }, () => flow(random));
  return {
    sockets: flows.filter((_, index) => index % 2 === 0).map(socketOf),
    packets: Array.from({ length: count }, () => input(random, flows, dip, stage)),
  };
}

function compare(
  library: string,
  dip: number,
  sockets: readonly ListedSocket[],
  stage: Stage,
  inputs: readonly Uint8Array[],
): Set<number> {
  const config = pathConfig(dip);
  const script = new ScriptPath(config, new SocketSet(sockets));
  const twin = new Twin(library, encodeBlob(config, sockets));
  try {
    script.fill(inputs, MAX_PACKET, stage);
    twin.fill(inputs, script.slotSize, stage);
    script.round(1);
    twin.round(1);
    const verdicts = new Set<number>();
    for (const [index, packet] of inputs.entries()) {
      const js = script.outcome(index);
      requireEqual(stage, packet, twin.outcome(index), js);
      verdicts.add(js.verdict);
    }
    compareCounters(script, twin, config.trafficsets.length);
    return verdicts;
  } finally {
    twin.close();
  }
}

function requireEqual(stage: Stage, packet: Uint8Array, native: Outcome, js: Outcome): void {
  const same =
    native.verdict === js.verdict &&
    native.action === js.action &&
    native.trafficset === js.trafficset &&
    native.nextHop === js.nextHop &&
    Buffer.compare(native.bytes, js.bytes) === 0;
  if (same) return;
  throw new Error(
    `twin check: ${stage === Stage.Forward ? 'forwarder' : 'redirector'} and twin differ on packet ${hex(packet)}\n` +
      `  C:  ${describe(native)}\n  JS: ${describe(js)}`,
  );
}

function compareCounters(script: ScriptPath, twin: Twin, trafficsets: number): void {
  const counted = new Map<string, number>();
  script.counted((stage, trafficset, verdict, packets, bytes) => {
    counted.set(`${stage} ${trafficset} ${verdict} packets`, packets);
    counted.set(`${stage} ${trafficset} ${verdict} bytes`, bytes);
  });
  for (const stage of [Stage.Forward, Stage.Redirect]) {
    for (let trafficset = NO_TRAFFICSET; trafficset < trafficsets; trafficset++) {
      for (let verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        for (const what of ['packets', 'bytes'] as const) {
          const js = counted.get(`${stage} ${trafficset} ${verdict} ${what}`) ?? 0;
          const native = twin.counted(stage, trafficset, verdict, what);
          if (js !== native) {
            throw new Error(
              `twin check: ${what} counted as ${VERDICTS[verdict].name} differ: C ${native}, JS ${js}`,
            );
          }
        }
      }
    }
  }
}

function describe(outcome: Outcome): string {
  const { verdict, action, trafficset, nextHop, bytes } = outcome;
  const name = VERDICTS[verdict]?.name ?? verdict;
  return `${name}, action ${action}, trafficset ${trafficset}, next hop ${nextHop.toString(16)}, ${hex(bytes)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function flow(random: Random): PacketFields {
  const version = random.pick([4, 6] as const);
  const length = 64 + random.below(100);
  return random.below(3) === 0 ? udpPacket(random, version, length) : webPacket(random, version, length);
}

/** A packet as the stage gets it: mostly well-formed, of a flow that half the time has a socket here. */
function input(random: Random, flows: readonly PacketFields[], dip: number, stage: Stage): Uint8Array {
  const inner = innerPacket(random, flows);
  if (stage === Stage.Forward) return random.below(4) === 0 ? damaged(inner, random) : inner;
  const wrapped = wrapFor(dip, inner, random);
  return random.below(3) === 0 ? damaged(wrapped, random) : wrapped;
}

function innerPacket(random: Random, flows: readonly PacketFields[]): Uint8Array {
  const fields = random.pick(flows);
  const kind = random.below(10);
  const tcpFlags = kind === 0 ? SYN : fields.tcpFlags;
  const packet = buildPacket({ ...fields, tcpFlags });
  switch (kind) {
    case 1:
      return icmpError(reversed(packet), random.next());
    case 2:
      // Quotes a packet that the client sent: no VIP's business.
      return icmpError(packet, random.next());
    case 3:
      return damaged(icmpError(reversed(packet), random.next()), random);
    case 4:
      return fields.version === 6
        ? withExtensions(packet, random, 1 + random.below(9))
        : fragmented(packet, random);
    case 5:
      return buildPacket({ ...fields, length: random.pick([1400, 1460, 1461, 1464, 1465, 1500]) });
    default:
      return packet;
  }
}

function fragmented(packet: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(packet);
  copy[6] = random.pick([0x00, 0x20, 0x40]);
  copy[7] = random.pick([0, 1]);
  return copy;
}
