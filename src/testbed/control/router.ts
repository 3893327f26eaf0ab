import { writeFile } from 'node:fs/promises';
import {
  CONTROL_ADDRESS,
  FAMILIES,
  type Family,
  serverLink,
  serverName,
  VIP_PREFIXES,
} from '../addresses.js';
import type { Daemon } from '../daemon.js';
import { ipBatch } from '../namespace-setup.js';
import type { Site } from '../site.js';
import { BGP_HOLD_SECONDS, ROUTER_AS, SERVER_AS } from './cluster.js';

/**
 * The router's routing daemon: Debian's bird. It learns from the servers, by one BGP session each, which of them take
 * packets for which VIPs, and gives the kernel one multipath route per range.
 */

/** What the servers may announce, and what nobody else is asked for: ranges of VIPs lie in these. */
const ANNOUNCED: Readonly<Record<Family, readonly string[]>> = {
  4: [VIP_PREFIXES[4], '198.18.0.0/15'],
  6: ['2001:db8:100::/40'],
};

/** A range that no server has served from the start: number `n` (0 ...) of a family. */
export const spareRange = (n: number, family: Family): string =>
  family === 4 ? `198.18.${n}.0/24` : `2001:db8:180:${n.toString(16)}::/64`;

export class Router {
  private constructor(
    private readonly site: Site,
    private readonly daemon: Daemon,
  ) {}

  /** Resolves when it can be asked; sessions come up when the servers' side does. */
  static async start(site: Site, servers: readonly number[]): Promise<Router> {
    await site.script(
      ipBatch([
        `addr add ${CONTROL_ADDRESS}/32 dev lo`,
        // Where nobody announces a range, its packets are lost in silence and sent again; an ICMP error instead would
        // end connection attempts in the moment that it takes bird to replace an IPv6 route.
        ...FAMILIES.flatMap((family) =>
          ANNOUNCED[family].map((prefix) => `route add blackhole ${prefix} metric 4096`),
        ),
      ]),
    );
    await writeFile(site.file('bird.conf'), configuration(servers));
    const command = ['bird', '-f', '-c', site.file('bird.conf'), '-s', site.file('bird.ctl')];
    const router = new Router(site, site.start('bird', [...command, '-P', site.file('bird.pid')]));
    await router.daemon.until('to answer', async () => {
      try {
        await router.ask('show status');
        return true;
      } catch {
        return false;
      }
    });
    return router;
  }

  /** Names of the servers that the kernel would send packets to this range to, in order; empty when there is none. */
  async nextHops(prefix: string): Promise<string[]> {
    const family = prefix.includes(':') ? 6 : 4;
    const { stdout } = await this.site.script(`ip -${family} -json route show ${prefix} proto bird`);
    const routes = JSON.parse(stdout === '' ? '[]' : stdout) as KernelRoute[];
    const devices = routes.flatMap(({ dev, nexthops = [] }) => [dev, ...nexthops.map((hop) => hop.dev)]);
    return devices.filter((device) => device !== undefined).sort();
  }

  /** What bird says to a command of birdc. @throws {TestbedError} when it does not answer */
  async ask(command: string): Promise<string> {
    const { stdout } = await this.site.script(`birdc -s ${this.site.file('bird.ctl')} ${command}`);
    return stdout;
  }
}

/** What `ip -json route` prints of a route. */
interface KernelRoute {
  readonly dev?: string;
  readonly nexthops?: readonly { readonly dev: string }[];
}

function configuration(servers: readonly number[]): string {
  return `router id ${CONTROL_ADDRESS};
protocol device { scan time 1; }
${FAMILIES.map(kernelProtocol).join('')}
${FAMILIES.map(importFilter).join('')}
${servers.map(session).join('')}`;
}

function kernelProtocol(family: Family): string {
  return `protocol kernel kernel${family} {
  merge paths on limit 64;
  ipv${family} { import none; export all; };
}
`;
}

function importFilter(family: Family): string {
  const prefixes = ANNOUNCED[family].map((prefix) => `${prefix}+`).join(', ');
  return `filter vips${family} { if net ~ [ ${prefixes} ] then accept; reject; }
`;
}

function session(server: number): string {
  const { own, peer } = serverLink(server);
  return `protocol bgp ${serverName(server)} {
  local ${peer[4]} as ${ROUTER_AS};
  neighbor ${own[4]} as ${SERVER_AS};
  direct;
  hold time ${BGP_HOLD_SECONDS};
  keepalive time 1;
  # A server that comes back is heard at once.
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 1;
  graceful restart off;
${FAMILIES.map((family) => `  ipv${family} { import filter vips${family}; export none; };\n`).join('')}}
`;
}
