import { clientName } from '../addresses.js';
import type { TrafficsetSpec } from '../cluster-file.js';
import { FLOW_SERVICES, startFlowServices } from '../flow-services.js';
import { DNS_PORT, dnsVip, startNameServer, WHO } from '../name-server.js';
import { dns } from '../scenarios/udp/dns.js';
import { dnsDrain } from '../scenarios/udp/dns-drain.js';
import { flows } from '../scenarios/udp/flows.js';
import { fragments } from '../scenarios/udp/fragments.js';
import type { Sites } from '../site.js';
import type { Suite } from './suite.js';

const TRAFFICSETS: readonly TrafficsetSpec[] = [
  { name: 'dns', kind: 'request-response', ports: [DNS_PORT] },
  // Truncated answers are fetched anew over TCP.
  { name: 'dns-tcp', kind: 'tcp', ports: [DNS_PORT] },
  ...FLOW_SERVICES.map(
    ({ trafficset, port }) => ({ name: trafficset, kind: 'udp-flow', ports: [port] }) as const,
  ),
];

export const udp: Suite = {
  name: 'udp',
  title: 'UDP: DNS queries, and flows on services with and without connected sockets',
  tools: ['nsd', 'nsd-control', 'dnsperf', 'dig', 'socat', 'ss'],
  clients: 2,
  access: [],
  clientProcesses: [1, 2],
  trafficsets: () => TRAFFICSETS,
  startServices,
  scenarios: [dns, dnsDrain, flows, fragments],
  tryOut: `${clientName(1)} -- dig @${dnsVip(4)} ${WHO} TXT +short`,
};

async function startServices({ servers }: Sites): Promise<void> {
  await Promise.all(servers.flatMap((server) => [startNameServer(server), startFlowServices(server)]));
}
