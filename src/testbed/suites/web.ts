import { clientName, SERVICE_PORTS, vip } from '../addresses.js';
import type { TrafficsetSpec } from '../cluster-file.js';
import { comparison } from '../scenarios/comparison.js';
import { crash } from '../scenarios/crash.js';
import { drain } from '../scenarios/drain.js';
import { NARROW_CLIENT, pmtud } from '../scenarios/pmtud.js';
import { rehash } from '../scenarios/rehash.js';
import { spread } from '../scenarios/spread.js';
import { swap } from '../scenarios/swap.js';
import type { Sites } from '../site.js';
import type { Suite } from './suite.js';

const WEB: TrafficsetSpec = { name: 'web', kind: 'tcp', ports: SERVICE_PORTS };

/** The promises of the load balancer for TCP, to long-lived and short connections. */
export const web: Suite = {
  name: 'web',
  title: 'TCP: HTTP connections through drains, swaps, rehashes and crashes',
  tools: ['curl'],
  clients: 2,
  access: [NARROW_CLIENT],
  clientProcesses: [1, 2],
  trafficsets: () => [WEB],
  startServices: startHttpServices,
  scenarios: [spread, drain, rehash, swap, crash, pmtud, comparison],
  tryOut: `${clientName(1)} -- curl -i http://${vip(1, 4)}/`,
};

/** The testbed's HTTP service on every server. */
export async function startHttpServices({ servers }: Sites): Promise<void> {
  await Promise.all(servers.map((server) => server.startRole('service', 'service', server.name).ready()));
}
