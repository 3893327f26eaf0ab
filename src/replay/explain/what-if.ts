import { PacketBatch } from '../../path/batch.js';
import { PathCounters, Stage } from '../../path/counters.js';
import { Forwarder } from '../../path/forwarder.js';
import { Redirector } from '../../path/redirector.js';
import { type SocketLookup, type SocketQueries, SocketState } from '../../path/sockets.js';
import { Action, VERDICTS } from '../../path/verdict.js';
import type { ReplayFleet, ReplayServer } from '../fleet.js';

/** What a server would do with a packet, by what sockets it has for the flow. */
export interface ServerCases {
  readonly server: string;
  readonly stage: 'forward' | 'redirect';
  /** One entry when the sockets do not matter. */
  readonly cases: readonly SocketCase[];
}

export interface SocketCase {
  readonly sockets: string;
  readonly verdict: string;
  readonly meaning: string;
  /** The next server, by name or else address, when it is sent on. */
  readonly sentTo: string | null;
}

const CASES = [
  ['has the connection', SocketState.Established],
  ['only listens', SocketState.Listening],
  ['has no socket', SocketState.None],
] as const;

/**
 * Every server on the way, and what it would do in each case; the way itself is that of a packet for which nobody has
 * a socket, which is the longest.
 * @param packet from its IP header on
 */
export function whatIf(
  fleet: ReplayFleet,
  packet: Uint8Array,
  start: ReplayServer,
  startStage: Stage,
  name: (dip: number) => string,
): ServerCases[] {
  const found: ServerCases[] = [];
  let server: ReplayServer | undefined = start;
  let stage = startStage;
  let bytes = packet;
  // next_hop only grows, so the way ends; the fleet's size bounds it in any case.
  while (server !== undefined && found.length <= fleet.servers.length) {
    const outcomes = CASES.map(([sockets, state]) => ({
      sockets,
      ...judge(server as ReplayServer, stage, bytes, state),
    }));
    const [first] = outcomes;
    const same = outcomes.every(
      ({ verdict, nextHop }) => verdict === first.verdict && nextHop === first.nextHop,
    );
    found.push({
      server: server.name,
      stage: stage === Stage.Forward ? 'forward' : 'redirect',
      cases: (same ? [first] : outcomes).map(({ sockets, verdict, action, nextHop }) => ({
        sockets: same ? 'whatever its sockets' : sockets,
        verdict: VERDICTS[verdict].name,
        meaning: VERDICTS[verdict].meaning,
        sentTo: action === Action.Send ? name(nextHop) : null,
      })),
    });
    const without = outcomes[CASES.length - 1];
    if (without.action !== Action.Send) break;
    server = fleet.at(without.nextHop);
    stage = Stage.Redirect;
    bytes = without.bytes;
  }
  return found;
}

function judge(server: ReplayServer, stage: Stage, packet: Uint8Array, state: SocketState) {
  const batch = new PacketBatch({ capacity: 1, maxPacket: packet.length });
  batch.push(packet);
  const counters = new PathCounters(server.state.trafficsets.length);
  const Kind = stage === Stage.Forward ? Forwarder : Redirector;
  new Kind(server.state, counters, new SameAnswer(state), 1).process(batch);
  return {
    verdict: batch.verdict[0],
    action: batch.action[0],
    nextHop: batch.nextHop[0],
    bytes: Uint8Array.from(batch.packet(0)),
  };
}

/** Gives every lookup the same answer, and takes no ACK for the end of a cookie handshake. */
class SameAnswer implements SocketLookup {
  constructor(private readonly state: SocketState) {}

  resolve(queries: SocketQueries): void {
    queries.state.fill(this.state, 0, queries.count);
  }

  synAccepted(): void {}

  completesCookie(): boolean {
    return false;
  }

  delivered(): void {}
}
