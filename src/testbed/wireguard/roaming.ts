import { clientLink, clientName, type Family, natAddress, ROUTER, secondAddressOf } from '../addresses.js';
import { ipBatch, lines } from '../namespace-setup.js';
import { Nat } from '../nat.js';
import { run, runScript } from '../run.js';
import { clientInterface, secondPort, vipEndpoint, WIREGUARD_PORT } from './plan.js';

/**
 * The ways in which a client's packets come to arrive from somewhere else, done to many clients at once. In each of
 * them the old way is closed: a packet that still arrives there would make a WireGuard peer answer there again.
 */
export interface RoamingStep {
  /** For people, in a few words: `new source port`. */
  readonly title: string;
  take(clients: readonly number[], serverPublicKey: string): Promise<void>;
}

/** In this order, each from where the one before left the clients; the last leaves them as they were. */
export const ROAMING_STEPS: readonly RoamingStep[] = [
  { title: 'new source port', take: newPort },
  { title: 'new source address', take: newAddress },
  { title: 'moved behind a NAT', take: () => enterNat() },
  { title: 'NAT rebinding', take: () => rebindNat(1) },
  { title: 'NAT rebinding again', take: () => rebindNat(2) },
  { title: 'IPv4 to IPv6', take: toIpv6 },
  { title: 'IPv6 to IPv4', take: toIpv4 },
];

async function newPort(clients: readonly number[]): Promise<void> {
  await shell(
    clients.map((client) => `wg set ${clientInterface(client)} listen-port ${secondPort(client)}\n`),
  );
}

async function newAddress(clients: readonly number[], serverPublicKey: string): Promise<void> {
  await runScript(
    ROUTER,
    ipBatch(
      clients.map((client) => `route replace ${secondAddressOf(client)[4]}/32 dev ${clientName(client)}`),
    ),
  );
  await shell(
    clients.map((client) => {
      const { own, peer } = clientLink(client);
      const roamed = secondAddressOf(client)[4];
      return (
        inClient(client, [
          `addr add ${roamed}/32 dev eth0`,
          `addr del ${own[4]}/31 dev eth0`,
          `route replace default via ${peer[4]} dev eth0 onlink src ${roamed}`,
        ]) + setEndpoint(client, 4, serverPublicKey)
      );
    }),
  );
}

async function toIpv6(clients: readonly number[], serverPublicKey: string): Promise<void> {
  await shell(
    clients.map(
      (client) =>
        // With the last address go the routes of the family.
        inClient(client, [`addr flush dev eth0 to ${secondAddressOf(client)[4]}/32`]) +
        setEndpoint(client, 6, serverPublicKey),
    ),
  );
  await NAT.remove();
  await runScript(
    ROUTER,
    ipBatch([
      ...NAT_ADDRESSES.map((address) => `route del blackhole ${address}/32`),
      ...clients.map((client) => `route del ${secondAddressOf(client)[4]}/32`),
    ]),
  );
}

/** The first address of old; IPv6 is only given back when nothing can arrive there any more. */
async function toIpv4(clients: readonly number[], serverPublicKey: string): Promise<void> {
  await shell(
    clients.map((client) => {
      const { own, peer } = clientLink(client);
      return (
        inClient(client, [
          `addr add ${own[4]}/31 dev eth0`,
          `route replace default via ${peer[4]}`,
          `addr del ${own[6]}/127 dev eth0`,
        ]) + setEndpoint(client, 4, serverPublicKey)
      );
    }),
  );
}

/** What the last step took and is given back when the clients are settled on IPv4. */
export async function giveBackIpv6(clients: readonly number[]): Promise<void> {
  await shell(
    clients.map((client) => {
      const { own, peer } = clientLink(client);
      return inClient(client, [
        `addr add ${own[6]}/127 dev eth0 nodad`,
        `route replace default via ${peer[6]}`,
      ]);
    }),
  );
}

/** The router hides all clients behind one address and gives each a port of its own, as a NAT does for a household. */
const NAT = new Nat(ROUTER, {
  outgoing: `udp dport ${WIREGUARD_PORT}`,
  incoming: `udp sport ${WIREGUARD_PORT}`,
});
const NAT_ADDRESSES = [0, 1, 2].map(natAddress);

async function enterNat(): Promise<void> {
  await runScript(ROUTER, ipBatch(NAT_ADDRESSES.map((address) => `route add blackhole ${address}/32`)));
  await rebindNat(0);
}

/** The mappings are forgotten, and the next packets get other ports, at another address. */
function rebindNat(times: number): Promise<void> {
  return NAT.map({ address: NAT_ADDRESSES[times], ports: [1024, 65_535] });
}

/** The endpoint given anew, for an interface that still believes in the source address it had. */
function setEndpoint(client: number, family: Family, serverPublicKey: string): string {
  return `wg set ${clientInterface(client)} peer ${serverPublicKey} endpoint ${vipEndpoint(family)}\n`;
}

function inClient(client: number, commands: readonly string[]): string {
  return `ip -n ${clientName(client)} -batch - <<'END'\n${lines(commands)}END\n`;
}

/** One shell for all clients: a process for each and every command would take longer than the commands. */
async function shell(scripts: readonly string[]): Promise<void> {
  await run('sh', ['-e'], scripts.join(''));
}
