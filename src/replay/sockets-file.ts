import { z } from 'zod';
import { type ListedFlow, type ListedListener, ListedSockets } from '../io/listed-sockets.js';
import { buildSessions, type SharedSessions } from '../path/session-set.js';
import { parseIpv4, parseIpv6 } from '../table/address.js';
import type { ClusterConfig } from '../table/cluster.js';
import { TableError } from '../table/errors.js';
import { parseSessions } from '../table/session-file.js';
import { type ProblemReport, parseYaml, readText, strictShape } from '../table/yaml.js';

/**
 * Which sockets and sessions the servers of a replay have. YAML, a section per server, `"*"` for all of them; a line per socket, in
 * the order in which `ss` prints them: local, then remote.
 *
 * ```yaml
 * "*":
 *   listen: ["tcp *:80", "tcp *:443 cookies"]
 * s1:
 *   listen: ["udp [2001:db8::1]:53"]
 *   flows: ["tcp 192.0.2.1:80 198.51.100.7:40000"]
 *   sessions: { warp: [0a0b0c] }     # by trafficset, as in the files that services publish
 * ```
 */

/** Connections followed per server: about 15 MB. */
const FOLLOW_LIMIT = 100_000;

const serverSocketsShape = strictShape({
  listen: z.array(z.string()).default([]),
  flows: z.array(z.string()).default([]),
  sessions: z.record(z.string(), z.array(z.string())).default({}),
});

export const socketsShape = z.record(z.string(), serverSocketsShape);
export type SocketSections = z.output<typeof socketsShape>;

/** Every server listens on everything: what a replay begins with when nothing else is said. */
export const LISTEN_EVERYWHERE: SocketSections = {
  '*': { listen: ['tcp *:*', 'udp *:*'], flows: [], sessions: {} },
};

export interface ServerState {
  readonly sockets: ReadonlyMap<string, ListedSockets>;
  readonly sessions: FleetSessions;
}

/** By server, then by trafficset. */
export type FleetSessions = ReadonlyMap<string, ReadonlyMap<string, SharedSessions>>;

/** @throws ConfigError with every problem found */
export function readSocketsFile(file: string, cluster: ClusterConfig): ServerState {
  return parseYaml(readText(file), file, socketsShape, (sections, report) => ({
    sockets: makeSockets(sections, cluster, report, []),
    sessions: makeSessions(sections, cluster, report, []),
  }));
}

/** The sessions of every server by its name. @param at where the sections stand in the file, for messages */
export function makeSessions(
  sections: SocketSections,
  cluster: ClusterConfig,
  report: ProblemReport,
  at: readonly (string | number)[],
): FleetSessions {
  const sets = new Map(cluster.servers.map(({ name }) => [name, new Map<string, Uint8Array[]>()]));
  for (const [name, { sessions }] of Object.entries(sections)) {
    for (const [trafficset, lines] of Object.entries(sessions)) {
      const place = [...at, name, 'sessions', trafficset];
      if (cluster.trafficsets.find((candidate) => candidate.name === trafficset)?.sessions === undefined) {
        report.at(place, `there is no trafficset ${trafficset} with sessions: see cluster.yaml`);
        continue;
      }
      try {
        const keys = parseSessions(lines.join('\n'), trafficset);
        for (const [server, own] of sets) {
          if (name === '*' || name === server) own.set(trafficset, [...(own.get(trafficset) ?? []), ...keys]);
        }
      } catch (error) {
        if (!(error instanceof TableError)) throw error;
        report.at(place, error.message);
      }
    }
  }
  return new Map(
    [...sets].map(([server, own]) => [
      server,
      new Map([...own].map(([trafficset, keys]) => [trafficset, buildSessions(keys)])),
    ]),
  );
}

/**
 * The sockets of every server by its name; connections whose SYN a listener takes come to be.
 * @param at where the sections stand in the file, for messages
 */
export function makeSockets(
  sections: SocketSections,
  cluster: ClusterConfig,
  report: ProblemReport,
  at: readonly (string | number)[],
): Map<string, ListedSockets> {
  const names = cluster.servers.map((server) => server.name);
  const sockets = new Map(
    names.map((name) => [name, new ListedSockets({ followSyns: true, followLimit: FOLLOW_LIMIT })]),
  );
  for (const [name, section] of Object.entries(sections)) {
    if (name !== '*' && !sockets.has(name)) {
      report.at([...at, name], `there is no server named ${name}: name one of ${names.join(', ')}, or "*"`);
      continue;
    }
    const servers = name === '*' ? names : [name];
    const each = (key: 'listen' | 'flows', add: (to: ListedSockets, line: string) => void) => {
      for (const [index, line] of section[key].entries()) {
        try {
          for (const server of servers) add(sockets.get(server) as ListedSockets, line);
        } catch (error) {
          if (!(error instanceof TableError)) throw error;
          report.at([...at, name, key, index], error.message);
        }
      }
    };
    each('listen', (to, line) => to.listen(parseListener(line)));
    each('flows', (to, line) => to.add(parseFlow(line)));
  }
  return sockets;
}

/** `tcp *:80`, `tcp 192.0.2.1:443 cookies`, `udp [2001:db8::1]:53`, `tcp *:*`. @throws TableError */
function parseListener(line: string): ListedListener {
  const match = /^(tcp|udp)\s+(\S+):(\d{1,5}|\*)(\s+cookies)?$/.exec(line.trim());
  if (match === null) {
    throw new TableError(
      'bad-address',
      `${JSON.stringify(line)} is no listener: write "tcp ADDRESS:PORT" or "udp ADDRESS:PORT", with * for any and "cookies" behind it for SYN cookies`,
    );
  }
  const [, protocol, address, port, cookies] = match;
  return {
    protocol: protocol as 'tcp' | 'udp',
    ...(address === '*' ? {} : { address: checkedAddress(address) }),
    ...(port === '*' ? {} : { port: checkedPort(port) }),
    ...(cookies === undefined ? {} : { cookies: true }),
  };
}

/** `tcp 192.0.2.1:80 198.51.100.7:40000`: local, remote. @throws TableError */
function parseFlow(line: string): ListedFlow {
  const match = /^(tcp|udp)\s+(\S+):(\d{1,5})\s+(\S+):(\d{1,5})$/.exec(line.trim());
  if (match === null) {
    throw new TableError(
      'bad-address',
      `${JSON.stringify(line)} is no flow: write "tcp LOCAL:PORT REMOTE:PORT", local being the VIP`,
    );
  }
  const [, protocol, local, localPort, remote, remotePort] = match;
  const flow: ListedFlow = {
    protocol: protocol as 'tcp' | 'udp',
    local: checkedAddress(local),
    localPort: checkedPort(localPort),
    remote: checkedAddress(remote),
    remotePort: checkedPort(remotePort),
  };
  if (flow.local.includes(':') !== flow.remote.includes(':')) {
    throw new TableError('bad-address', `${JSON.stringify(line)} has addresses of two families`);
  }
  return flow;
}

/** Without the brackets of an IPv6 address. */
function checkedAddress(text: string): string {
  const bare = /^\[(.*)\]$/.exec(text)?.[1];
  if (bare === undefined) parseIpv4(text);
  else parseIpv6(bare);
  return bare ?? text;
}

function checkedPort(text: string): number {
  const port = Number(text);
  if (port >= 1 && port <= 65535) return port;
  throw new TableError('bad-port', `${text} is no port: write 1 to 65535`);
}
