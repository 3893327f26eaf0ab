import { PacketBatch } from '../../path/batch.js';
import { PathCounters, Stage } from '../../path/counters.js';
import { Forwarder } from '../../path/forwarder.js';
import { Redirector } from '../../path/redirector.js';
import { buildSessions, SessionSet } from '../../path/session-set.js';
import { type SocketLookup, type SocketQueries, SocketState } from '../../path/sockets.js';
import { OwnerRule } from '../../path/state.js';
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

/** What a server can have, and so answer: the last one is the longest way. */
interface Case {
  readonly has: string;
  readonly socket: SocketState;
  readonly session: boolean;
}

const SOCKET_CASES: readonly Case[] = [
  { has: 'has the connection', socket: SocketState.Established, session: false },
  { has: 'only listens', socket: SocketState.Listening, session: false },
  { has: 'has no socket', socket: SocketState.None, session: false },
];
const SESSION_CASES: readonly Case[] = [
  { has: 'has the session', socket: SocketState.None, session: true },
  { has: 'does not have the session', socket: SocketState.None, session: false },
];

/**
 * Every server on the way, and what it would do in each case; the way itself is that of a packet for which nobody has
 * a socket or session, which is the longest.
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
    const here = server;
    const [packetCase] = SOCKET_CASES;
    const { trafficset } = judge(here, stage, bytes, packetCase);
    const bySessions = here.state.trafficsets[trafficset]?.ownerRule === OwnerRule.Sessions;
    const outcomes = (bySessions ? SESSION_CASES : SOCKET_CASES).map((each) => ({
      sockets: each.has,
      ...judge(here, stage, bytes, each),
    }));
    const [first] = outcomes;
    const same = outcomes.every(
      ({ verdict, nextHop }) => verdict === first.verdict && nextHop === first.nextHop,
    );
    found.push({
      server: server.name,
      stage: stage === Stage.Forward ? 'forward' : 'redirect',
      cases: (same ? [first] : outcomes).map(({ sockets, verdict, action, nextHop }) => ({
        sockets: same ? `whatever its ${bySessions ? 'sessions' : 'sockets'}` : sockets,
        verdict: VERDICTS[verdict].name,
        meaning: VERDICTS[verdict].meaning,
        sentTo: action === Action.Send ? name(nextHop) : null,
      })),
    });
    const without = outcomes[outcomes.length - 1];
    if (without.action !== Action.Send) break;
    server = fleet.at(without.nextHop);
    stage = Stage.Redirect;
    bytes = without.bytes;
  }
  return found;
}

function judge({ state }: ReplayServer, stage: Stage, packet: Uint8Array, { socket, session }: Case) {
  const batch = new PacketBatch({ capacity: 1, maxPacket: packet.length });
  batch.push(packet);
  const counters = new PathCounters(state.trafficsets.length);
  const Kind = stage === Stage.Forward ? Forwarder : Redirector;
  const before = state.trafficsets.map(({ sessions }) => sessions);
  for (const trafficset of state.trafficsets) trafficset.sessions = session ? EVERY_SESSION : NO_SESSION;
  new Kind(state, counters, new SameAnswer(socket), 1).process(batch);
  for (const [index, trafficset] of state.trafficsets.entries()) trafficset.sessions = before[index];
  return {
    verdict: batch.verdict[0],
    action: batch.action[0],
    nextHop: batch.nextHop[0],
    trafficset: batch.trafficset[0],
    bytes: Uint8Array.from(batch.packet(0)),
  };
}

class EverySession extends SessionSet {
  override has(): boolean {
    return true;
  }
}

const NO_SESSION = new SessionSet(buildSessions([]));
const EVERY_SESSION = new EverySession(buildSessions([]));

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
