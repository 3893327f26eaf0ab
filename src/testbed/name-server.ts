import { writeFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { type Family, serverLink, vip } from './addresses.js';
import type { Site } from './site.js';

/**
 * A stock name server on a server of the data center: Debian's nsd, which answers for one zone at the VIPs of both
 * families, and at the server's own addresses, where it can be asked without the load balancer.
 */

export const DNS_PORT = 53;
export const ZONE = 'dns.example';
/** Names `h1` ... `h200` of the zone have an IPv4 and an IPv6 address each. */
export const HOSTS = 200;
/** TXT: the name of the server that answers. */
export const WHO = `who.${ZONE}`;
/** TXT: too long for a UDP answer, so that it comes truncated, and whole over TCP. */
export const LONG = `long.${ZONE}`;
/** Character strings of {@link LONG}, 250 bytes each: well above the 1232 bytes that nsd puts into a datagram. */
export const LONG_STRINGS = 16;

export const dnsVip = (family: Family): string => vip(DNS_PORT, family);

const CONFIG = 'nsd.conf';

/** Resolves when it answers. */
export async function startNameServer(server: Site): Promise<void> {
  await writeFile(server.file('zone'), zoneFile(server.name));
  await writeFile(server.file(CONFIG), configFile(server));
  const nsd = server.start('nsd', ['nsd', '-d', '-c', server.file(CONFIG)]);
  await nsd.until('to answer', async () => {
    try {
      await control(server, 'status');
      return true;
    } catch {
      return false;
    }
  });
}

/** How many queries it has answered, by its own account. */
export async function queriesAnswered(server: Site): Promise<number> {
  const statistics = await control(server, 'stats_noreset');
  return Number(/^num\.queries=(\d+)$/m.exec(statistics)?.[1] ?? Number.NaN);
}

async function control(server: Site, command: string): Promise<string> {
  const { stdout } = await server.script(`nsd-control -c '${server.file(CONFIG)}' ${command}`);
  return stdout;
}

function configFile(server: Site): string {
  const own = serverLink(server.number).own;
  const addresses = [dnsVip(4), dnsVip(6), own[4], own[6]];
  return `server:
${addresses.map((address) => `  ip-address: ${address}@${DNS_PORT}\n`).join('')}\
  # VIPs are not on an interface but local by a route.
  ip-transparent: yes
  server-count: 1
  # One client asks all of this; an answer that is withheld would count as lost.
  rrl-ratelimit: 0
  # Everything it keeps goes into the enclosure and nowhere else.
  username: ""
  chroot: ""
  zonesdir: "${server.file('')}"
  database: ""
  pidfile: ""
  zonelistfile: "${server.file('nsd.zones')}"
  xfrdfile: "${server.file('nsd.xfrd')}"
  xfrdir: "${server.file('')}"
remote-control:
  control-enable: yes
  control-interface: ${server.file('nsd.sock')}
zone:
  name: ${ZONE}
  zonefile: "${server.file('zone')}"
`;
}

/** Addresses of documentation (RFC 5737, RFC 3849). */
function zoneFile(name: string): string {
  const numbers = Array.from({ length: HOSTS }, (_, index) => index + 1);
  const hosts = numbers.map((n) => `h${n} A 203.0.113.${n}\nh${n} AAAA 2001:db8:200::${n.toString(16)}\n`);
  const strings = Array.from({ length: LONG_STRINGS }, (_, index) => `"${String(index).padEnd(250, '.')}"`);
  const own = [4, 6].map((family) => dnsVip(family as Family));
  return `$ORIGIN ${ZONE}.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
${own.map((address) => `ns ${isIPv4(address) ? 'A' : 'AAAA'} ${address}\n`).join('')}\
who TXT "${name}"
long TXT ${strings.join(' ')}
${hosts.join('')}`;
}
