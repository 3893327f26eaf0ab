import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { filtersOf, shellLine } from '../../src/node/network-setup.js';
import { planSynBudget, synDevice } from '../../src/node/syn-budget.js';
import { formatIpv4, parsePrefix } from '../../src/table/address.js';
import { deviceSent } from './io-network.js';
import type { PlaneMode, PlaneSpec } from './tcp-plane.js';
import { BYSTANDER, SERVERS, VIP4 } from './workload.js';

/**
 * A load balancer and a server in two namespaces, with the client's namespace between them; several stand side by side
 * and are measured in turn.
 *
 *   client --- a === b (underlay)
 *      \____________/
 *
 * `a` forwards what comes for the VIP to `b`, whose answers come straight back. Both run one data plane, or none: then
 * the kernel of `a` forwards.
 */

/** What carries packets from the client to the server. */
export type SiteMode = PlaneMode | 'kernel';

export interface SiteSpec {
  readonly mode: SiteMode;
  /** MTU of the underlay in bytes. */
  readonly mtu: number;
  /** As in {@link PlaneSpec}. */
  readonly secondHop?: number;
  /** As in a node's configuration, for the load balancer: as many as by default when absent; null: no bound. */
  readonly synRate?: number | null;
  /** The native twin. */
  readonly library: string;
}

const PLANE = fileURLToPath(new URL('./tcp-plane.js', import.meta.url));
const A = formatIpv4(BYSTANDER);
const B = formatIpv4(SERVERS[0]);
const VIPS = '192.0.2.0/24';
const TUN = 'lb0';
/** What wrapping adds. */
const OVERHEAD = 40;
/** Of the client's links. */
const CLIENT_MTU = 1500;

const running: ChildProcess[] = [];
let sites = 0;

function sh(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Once, before the first site: in namespaces made for this process. */
export function prepareClient(): void {
  sh(`
    mount -t tmpfs twohop /run
    ip link set lo up
    sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    sysctl -qw net.ipv4.ip_local_port_range='1024 65535'
  `);
}

export class Site {
  readonly vip: string;
  /** An address of the server's, straight to it. */
  readonly direct: string;
  /** The client's link to the load balancer. */
  readonly link: string;
  /** The client's address on its link to the server. */
  readonly clientFromServer: string;
  private readonly a: string;
  private readonly b: string;
  private planes: ChildProcess[] = [];

  private constructor(private readonly spec: SiteSpec) {
    const index = sites++;
    this.a = `a${index}`;
    this.b = `b${index}`;
    this.vip = formatIpv4(VIP4 + 1 + index);
    this.direct = `198.51.101.${2 * index + 1}`;
    this.link = `ca${index}`;
    this.clientFromServer = `198.51.101.${2 * index}`;
    this.wire(index);
  }

  /** Resolves when packets to {@link vip} find their way. */
  static async open(spec: SiteSpec): Promise<Site> {
    const site = new Site(spec);
    if (spec.mode !== 'kernel') await site.startPlanes(spec.mode);
    return site;
  }

  private wire(index: number): void {
    const { a, b, vip } = this;
    const { mtu } = this.spec;
    const [ca, cb] = [`ca${index}`, `cb${index}`];
    const [near, far] = [2 * index, 2 * index + 1];
    sh(`
      for n in ${a} ${b}; do
        ip netns add $n
        ip -n $n link set lo up
        ip netns exec $n sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
      done
      ip link add ${ca} mtu ${CLIENT_MTU} type veth peer name ac mtu ${CLIENT_MTU} netns ${a}
      ip link add ${cb} mtu ${CLIENT_MTU} type veth peer name bc mtu ${CLIENT_MTU} netns ${b}
      ip -n ${a} link add u0 mtu ${mtu} type veth peer name u0 mtu ${mtu} netns ${b}
      ip addr add 198.51.100.${near}/31 dev ${ca}; ip -n ${a} addr add 198.51.100.${far}/31 dev ac
      ip addr add 198.51.101.${near}/31 dev ${cb}; ip -n ${b} addr add 198.51.101.${far}/31 dev bc
      ip -n ${a} addr add ${A}/32 dev u0; ip -n ${b} addr add ${B}/32 dev u0
      ip link set ${ca} up; ip link set ${cb} up
      ip -n ${a} link set ac up; ip -n ${b} link set bc up; ip -n ${a} link set u0 up; ip -n ${b} link set u0 up
      ip -n ${a} route add ${B} dev u0; ip -n ${b} route add ${A} dev u0
      ip -n ${b} route add 198.51.100.${near}/31 via 198.51.101.${near} dev bc
      ip -n ${b} route add local ${VIPS} dev lo
      ip -n ${a} route add ${VIPS} via ${B} dev u0 onlink
      ip netns exec ${a} sysctl -qw net.ipv4.ip_forward=1
      ip route add ${vip} via 198.51.100.${far} mtu lock ${Math.min(CLIENT_MTU, mtu - OVERHEAD)}
    `);
  }

  private async startPlanes(mode: PlaneMode): Promise<void> {
    const { mtu, library, secondHop, synRate = 20_000 } = this.spec;
    for (const [namespace, dip] of [
      [this.a, BYSTANDER],
      [this.b, SERVERS[0]],
    ] as const) {
      const spec: PlaneSpec = {
        mode,
        dip,
        owner: SERVERS[0],
        mtu,
        library,
        ...(secondHop === undefined ? {} : { secondHop }),
      };
      this.planes.push(await start(namespace, [process.execPath, PLANE, JSON.stringify(spec)]));
      sh(`ip -n ${namespace} link set ${TUN} txqueuelen 10000 up`);
    }
    const bound = { tun: TUN, steering: 'tc', rate: synRate } as const;
    const budget = planSynBudget(bound).map(({ run }) => shellLine(run));
    const filters = filtersOf(parsePrefix(VIPS), TUN, synDevice(bound)).map(
      (filter) => `tc filter add dev ac ingress pref 1 protocol ip u32 ${filter.join(' ')}`,
    );
    const script = ['tc qdisc add dev ac clsact', ...budget, ...filters].join('\n');
    execFileSync('ip', ['netns', 'exec', this.a, 'sh', '-ec', script], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  /** Starts a program on the server; resolves at its first word. */
  async serve(command: readonly string[]): Promise<ChildProcess> {
    return start(this.b, command);
  }

  /** Bytes of memory that both data planes hold. */
  residentMemory(): number {
    return this.planes.reduce((sum, { pid }) => sum + residentMemory(pid), 0);
  }

  /** Packets that the load balancer has taken from its TUN. */
  takenPackets(): number {
    return deviceSent(TUN, this.planes[0].pid).packets;
  }

  /** Runs a shell's words with the names of both namespaces in `$a` and `$b`. */
  configure(script: string): void {
    sh(`a=${this.a}; b=${this.b}; ${script}`);
  }

  /** Seconds of processor time that both data planes have had; 0 where the kernel forwards. */
  processorTime(): number {
    return this.planes.reduce((sum, plane) => sum + processorTime(plane), 0);
  }
}

/** Starts a program in a namespace; resolves at its first word. */
async function start(namespace: string, command: readonly string[]): Promise<ChildProcess> {
  const tied = ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL', ...command];
  const child = spawn('ip', tied, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${command.join(' ')} ended with ${code}`);
    }),
  ]);
  return child;
}

/** Ends all programs of all sites. */
export async function closeSites(): Promise<void> {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

/**
 * Runs a program in the client's namespace until it ends.
 * @param seconds that it means to take
 * @returns what it printed
 * @throws when it fails, or takes many seconds more
 */
export function runOnClient(program: string, words: readonly string[], seconds: number): string {
  return execFileSync(program, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    timeout: 1000 * (seconds + 10),
  });
}

/** Seconds of processor time that a process has had. */
function processorTime({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentMemory(pid: number | undefined): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return 1024 * Number(kibibytes);
}
