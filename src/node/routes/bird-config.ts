import { z } from 'zod';
import type { Prefix } from '../../table/address.js';
import { strictShape } from '../../table/yaml.js';

/** The `node.routes.bird` section of cluster.yaml, and the configuration of BIRD 2 that is made of it. */

const asn = z.int().min(1).max(4_294_967_295);

export const birdShape = strictShape({
  local_as: asn,
  neighbor_as: asn,
  /** The router; `gateway`: the next hop of the IPv4 default route, as each server has another router. */
  neighbor: z.union([z.literal('gateway'), z.ipv4()]).default('gateway'),
  /** After which a router that hears nothing drops the routes. */
  hold_seconds: z.int().min(3).max(240).default(3),
  /** Own IPv6 address, the next hop of IPv6 VIPs; default: the interface's first global one. */
  next_hop6: z.ipv6().optional(),
  /** After the routes are withdrawn, a node that stops forwards for so long what is still on its way. */
  drain_seconds: z.number().min(0).max(60).default(0.5),
});
export type BirdConfig = z.output<typeof birdShape>;

/** What changes between servers and over time. */
export interface BirdSession {
  /** DIP: router id and source of the session. */
  readonly address: string;
  readonly neighbor: string;
  /** null: IPv6 VIPs are not announced. */
  readonly nextHop6: string | null;
  /** Empty: everything is withdrawn, and the session stays. */
  readonly prefixes: readonly Prefix[];
}

/** The text of bird.conf. */
export function birdConfigText(config: BirdConfig, session: BirdSession): string {
  const { address, neighbor, nextHop6, prefixes } = session;
  const families = nextHop6 === null ? ([4] as const) : ([4, 6] as const);
  const routes = (version: 4 | 6) =>
    prefixes.filter((prefix) => prefix.version === version).map((prefix) => `  route ${prefix} blackhole;`);
  const nextHop = { 4: address, 6: nextHop6 };
  return [
    '# Written by twohop node; changes are lost.',
    'log stderr { error, fatal, bug, auth, remote };',
    `router id ${address};`,
    'protocol device {}',
    // Never installed here: there is no kernel protocol. They are only there to be announced.
    ...families.flatMap((version) => [
      `protocol static vips${version} {`,
      `  ipv${version};`,
      ...routes(version),
      '}',
    ]),
    'protocol bgp fabric {',
    `  local ${address} as ${config.local_as};`,
    `  neighbor ${neighbor} as ${config.neighbor_as};`,
    `  hold time ${config.hold_seconds};`,
    `  keepalive time ${Math.max(1, Math.floor(config.hold_seconds / 3))};`,
    '  connect delay time 1;',
    '  connect retry time 2;',
    '  error wait time 1, 5;',
    ...families.flatMap((version) => [
      `  ipv${version} {`,
      '    import none;',
      '    export where source = RTS_STATIC;',
      `    next hop address ${nextHop[version]};`,
      '  };',
    ]),
    '}',
    '',
  ].join('\n');
}
