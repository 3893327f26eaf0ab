import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { TestbedError } from './errors.js';

/**
 * What the testbed takes for granted on the machine. Everything missing is reported in one message, so that
 * nobody installs one package per attempt.
 */

/** Command -> Debian package. Those that only some demonstrations need are named by them (see suites/). */
export const PACKAGES = {
  ip: 'iproute2',
  tc: 'iproute2',
  ss: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  curl: 'curl',
  tcpdump: 'tcpdump',
  gtlsclient: 'ngtcp2-client',
  openssl: 'openssl',
  ping: 'iputils-ping',
  nft: 'nftables',
  conntrack: 'conntrack',
  wg: 'wireguard-tools',
  'wireguard-go': 'wireguard-go',
  nsd: 'nsd',
  'nsd-control': 'nsd',
  dnsperf: 'dnsperf',
  dig: 'bind9-dnsutils',
  socat: 'socat',
  etcd: 'etcd-server',
  prometheus: 'prometheus',
  bird: 'bird2',
  birdc: 'bird2',
} as const;

export type Tool = keyof typeof PACKAGES;

/** What every data center needs. */
export const TESTBED_TOOLS: readonly Tool[] = ['ip', 'tc', 'nsenter', 'unshare', 'setpriv'];

/** What people are told to try in a data center that was left up. */
export const LOOK_AROUND_TOOLS: readonly Tool[] = ['curl', 'tcpdump'];

/** Bits of the capability sets in /proc/self/status (capabilities(7)). */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21 } as const;

export interface Machine {
  has(tool: Tool): boolean;
  /** The effective capability set. */
  readonly capabilities: bigint;
  readonly tun: boolean;
}

export const thisMachine: Machine = {
  has: (tool) => onPath(tool),
  get capabilities() {
    return effectiveCapabilities();
  },
  get tun() {
    return existsSync('/dev/net/tun');
  },
};

/**
 * What is missing, in sentences; empty when nothing is.
 * @param options.tools commands needed; @param options.tun whether a node (and so a TUN device) will run
 */
export function missingMeans(
  options: { readonly tools: readonly Tool[]; readonly tun: boolean },
  machine: Machine = thisMachine,
): string[] {
  const sentences: string[] = [];
  const tools = options.tools.filter((tool) => !machine.has(tool));
  if (tools.length > 0) {
    const packages = [...new Set(tools.map((tool) => PACKAGES[tool]))];
    sentences.push(`not found: ${tools.join(', ')} (apt-get install ${packages.join(' ')})`);
  }
  const held = machine.capabilities;
  const capabilities = Object.entries(CAPABILITIES)
    .filter(([, bit]) => (held & (1n << BigInt(bit))) === 0n)
    .map(([name]) => name);
  if (capabilities.length > 0) {
    sentences.push(`not permitted: ${capabilities.join(', ')} (run it as root, for example with sudo)`);
  }
  if (options.tun && !machine.tun) {
    sentences.push('no /dev/net/tun (modprobe tun; in a container, pass the device in)');
  }
  return sentences;
}

/** @throws {TestbedError} naming everything that is missing */
export function requireMeans(options: { readonly tools: readonly Tool[]; readonly tun: boolean }): void {
  const missing = missingMeans(options);
  if (missing.length > 0) {
    throw new TestbedError(`the testbed cannot run here:\n${missing.map((line) => `  ${line}`).join('\n')}`);
  }
}

/** For child processes: PATH with the directories where ip and tc live, which not everybody's PATH has. */
export function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: searchPath().join(delimiter) };
}

function searchPath(): string[] {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
}

function onPath(tool: string): boolean {
  return searchPath().some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function effectiveCapabilities(): bigint {
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return match === null ? 0n : BigInt(`0x${match[1]}`);
}
