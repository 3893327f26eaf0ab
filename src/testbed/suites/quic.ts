import { clientName, vip } from '../addresses.js';
import { QUIC_PORTS } from '../quic/plan.js';
import { quicTrafficsets } from '../quic/trafficsets.js';
import { drain } from '../scenarios/quic/drain.js';
import { handshakes } from '../scenarios/quic/handshakes.js';
import { migration } from '../scenarios/quic/migration.js';
import { rebinding } from '../scenarios/quic/rebinding.js';
import type { Sites } from '../site.js';
import type { Suite } from './suite.js';

/** Stock QUIC clients that move, and servers whose connection IDs name them, as QUIC-LB says. */
export const quic: Suite = {
  name: 'quic',
  title: 'QUIC: connections that migrate, by QUIC-LB connection IDs and by 4-tuple',
  tools: ['gtlsclient', 'openssl', 'nft', 'conntrack'],
  clients: 2,
  access: [1, 2],
  clientProcesses: [],
  trafficsets: quicTrafficsets,
  startServices: startQuicServers,
  scenarios: [handshakes, rebinding, migration, drain],
  tryOut: `${clientName(1)} -- gtlsclient --exit-on-all-streams-close ${vip(1, 4)} ${QUIC_PORTS['connection id'].question} https://vip/`,
};

async function startQuicServers({ servers }: Sites): Promise<void> {
  await Promise.all(
    servers.map((server) =>
      server
        .startRole('QUIC server', 'quic-server', server.name, String(server.number), server.file(''))
        .ready(),
    ),
  );
}
