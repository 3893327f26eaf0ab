import { writeFile } from 'node:fs/promises';
import { FAMILIES, type Family, vip } from './addresses.js';
import { Daemon } from './daemon.js';
import type { Site } from './site.js';
import { IDLE_S } from './udp-service.js';

/** UDP services with flows, each with a trafficset of its own: what they do with their sockets is what differs. */
export interface FlowService {
  /** Name of the trafficset. */
  readonly trafficset: string;
  readonly port: number;
  /** For people. */
  readonly title: string;
  /** A socket per flow, connected to its client, tells the node that the flow lives here. */
  readonly connected: boolean;
}

const NODE: FlowService = {
  trafficset: 'flows-node',
  port: 7000,
  title: 'Node, a connected socket per flow',
  connected: true,
};

const SOCAT_CONNECTED: FlowService = {
  trafficset: 'flows-socat',
  port: 7001,
  title: 'socat UDP-LISTEN, connected sockets',
  connected: true,
};

const SOCAT_UNCONNECTED: FlowService = {
  trafficset: 'flows-unconnected',
  port: 7002,
  title: 'socat UDP-RECVFROM, unconnected sockets',
  connected: false,
};

export const FLOW_SERVICES = [NODE, SOCAT_CONNECTED, SOCAT_UNCONNECTED] as const;
/** The one that gives an account of the bytes it got. */
export const THOROUGH = NODE;

export const flowVip = (family: Family): string => vip(7, family);

/**
 * Each takes one datagram from an unconnected socket, answers, and gives way to the next; several, so that one is
 * always there. Not one with `fork`: in socat 1.7.4 it waits for ever, now and then, for a child that is done.
 */
const UNCONNECTED_SOCKETS = 2;

/**
 * Answers as udp-service.ts does, without length and checksum: what a flow's socket gets is its standard input, and
 * ends with the flow. Echo writes each answer by itself, so that it becomes one datagram.
 */
const ANSWER = `n=0
while read -r token rest; do
  n=$((n + 1))
  echo "$1 $n $token"
done
`;

/** Starts all of them on a server; resolves when they take datagrams. */
export async function startFlowServices(server: Site): Promise<void> {
  const script = server.file('answer.sh');
  await writeFile(script, ANSWER);
  const answer = `EXEC:sh ${script} ${server.name}`;
  const daemons: Daemon[] = [];
  for (const family of FAMILIES) {
    const bound = family === 4 ? `bind=${flowVip(4)}` : `bind=[${flowVip(6)}],ipv6only`;
    const listen = `UDP${family}-LISTEN:${SOCAT_CONNECTED.port},${bound},reuseaddr,fork`;
    const receive = `UDP${family}-RECVFROM:${SOCAT_UNCONNECTED.port},${bound},reuseport`;
    daemons.push(server.start(`socat-connected-${family}`, ['socat', '-T', String(IDLE_S), listen, answer]));
    for (let each = 1; each <= UNCONNECTED_SOCKETS; each++) {
      // The datagram is the end of its input; a shell may take a while to answer it.
      const loop = `while :; do socat -t 10 ${receive} '${answer}' || sleep 0.1; done`;
      daemons.push(server.start(`socat-unconnected-${family}-${each}`, ['sh', '-c', loop]));
    }
  }
  const addresses = FAMILIES.map(flowVip);
  await server.startRole('udp-service', 'udp-service', server.name, String(NODE.port), ...addresses).ready();
  const names = FLOW_SERVICES.flatMap(({ port }) => FAMILIES.map((family) => socketName(family, port)));
  await Daemon.allUntil(daemons, `the UDP services of ${server.name} to have their sockets`, async () => {
    const { stdout } = await server.script('ss -Hlun');
    return names.every((name) => stdout.includes(name));
  });
}

/** As ss prints it. */
function socketName(family: Family, port: number): string {
  return family === 4 ? `${flowVip(4)}:${port}` : `[${flowVip(6)}]:${port}`;
}
