import { clientName } from '../addresses.js';
import type { TrafficsetSpec } from '../cluster-file.js';
import { add } from '../scenarios/roaming/add.js';
import { comparison } from '../scenarios/roaming/comparison.js';
import { drain } from '../scenarios/roaming/drain.js';
import { flood } from '../scenarios/roaming/flood.js';
import { fragments } from '../scenarios/roaming/fragments.js';
import { pmtud } from '../scenarios/roaming/pmtud.js';
import { roam } from '../scenarios/roaming/roam.js';
import { NARROW_CLIENT, TRAFFICSET } from '../scenarios/roaming/sessions.js';
import { stock } from '../scenarios/roaming/stock.js';
import { tunnel } from '../scenarios/roaming/tunnel.js';
import type { Sites } from '../site.js';
import { TUNNEL_SERVER, WIREGUARD_PORT } from '../wireguard/plan.js';
import { startTunnels } from '../wireguard/tunnels.js';
import type { Suite } from './suite.js';
import { startHttpServices } from './web.js';

const WARP: TrafficsetSpec = {
  name: TRAFFICSET,
  kind: 'udp-session',
  protocols: ['udp'],
  ports: [WIREGUARD_PORT],
  dissector: { name: 'wireguard-clientid', clear: true },
  sessions: sessionsFile('{name}'),
};

/** Sessions that outlive every change of the addresses they are held from. */
export const roaming: Suite = {
  name: 'roaming',
  title: 'WireGuard: tunnels that stay on their server while their clients roam',
  tools: ['curl', 'ping', 'nft', 'conntrack', 'wg', 'wireguard-go'],
  clients: NARROW_CLIENT,
  access: [NARROW_CLIENT],
  clientProcesses: [],
  trafficsets: () => [WARP],
  startServices,
  scenarios: [tunnel, roam, drain, add, stock, pmtud, fragments, flood, comparison],
  tryOut: `${clientName(1)} -- curl -i http://${TUNNEL_SERVER[4]}/`,
};

function sessionsFile(server: string): string {
  return `/run/twohop/${server}.${TRAFFICSET}.sessions`;
}

async function startServices(sites: Sites): Promise<void> {
  await Promise.all([startHttpServices(sites), startTunnels(sites, sessionsFile)]);
}
