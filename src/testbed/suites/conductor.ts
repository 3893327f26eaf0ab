import { clientName, SERVICE_PORTS, vip } from '../addresses.js';
import type { TrafficsetSpec } from '../cluster-file.js';
import { TRAFFICSET } from '../control/cluster.js';
import { health } from '../scenarios/conductor/health.js';
import { membership } from '../scenarios/conductor/membership.js';
import { slow } from '../scenarios/conductor/slow.js';
import { takeover } from '../scenarios/conductor/takeover.js';
import { vips } from '../scenarios/conductor/vips.js';
import { wide } from '../scenarios/conductor/wide.js';
import type { Sites } from '../site.js';
import type { Suite } from './suite.js';

const WEB: TrafficsetSpec = { name: TRAFFICSET, kind: 'tcp', ports: SERVICE_PORTS };

/** A conductor and its standby at work: tables that follow the servers, their health and their load. */
export const conductor: Suite = {
  name: 'conductor',
  title: 'Control plane: tables that follow servers, health and load, with etcd, Prometheus and BGP',
  tools: ['curl', 'etcd', 'prometheus', 'bird', 'birdc'],
  conducted: { leastServers: 4 },
  clients: 2,
  access: [],
  clientProcesses: [1, 2],
  trafficsets: () => [WEB],
  startServices: readyClients,
  scenarios: [membership, vips, health, slow, takeover, wide],
  tryOut: `${clientName(1)} -- curl -i http://${vip(1, 4)}/`,
};

/**
 * Services are started by the control plane: one and its node are a server, which comes and goes. Clients use their
 * ports again and again; where their end closed first, the kernel would keep a port for a minute.
 */
async function readyClients({ clients }: Sites): Promise<void> {
  await Promise.all(clients.map((client) => client.script('echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse')));
}
