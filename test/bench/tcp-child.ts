import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatIpv4 } from '../../src/table/address.js';
import type { TcpMode, TcpOptions, TcpResult, TcpSample } from './tcp.js';
import type { PlaneSpec } from './tcp-plane.js';
import { BYSTANDER, SERVERS, WEB_PORT } from './workload.js';

/**
 * Runs in namespaces made for it, itself the client: bulk TCP to a VIP, by a load balancer `a` to the server `b` that
 * has the flows, whose answers come straight back.
 *
 *   client --- a === b (underlay)
 *      \____________/
 */

const PLANE = fileURLToPath(new URL('./tcp-plane.js', import.meta.url));
const A = formatIpv4(BYSTANDER);
const B = formatIpv4(SERVERS[0]);
const VIPS = '192.0.2.0/24';
const VIP = '192.0.2.7';
const TUN = 'lb0';
/** Seconds that the stream runs before it counts: native/stream.c. */
const WARM_UP = 1;
/** What wrapping adds. */
const OVERHEAD = 40;

const running: ChildProcess[] = [];

function sh(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function setUp(): void {
  sh(`
    mount -t tmpfs twohop /run
    ip netns add a; ip netns add b
    ip link set lo up; ip -n a link set lo up; ip -n b link set lo up
    ip link add ca mtu 1500 type veth peer name ac mtu 1500 netns a
    ip link add cb mtu 1500 type veth peer name bc mtu 1500 netns b
    ip -n a link add u0 mtu 9000 type veth peer name u0 mtu 9000 netns b
    for n in a b; do ip netns exec $n sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0; done
    sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.cb.rp_filter=0 net.ipv4.conf.ca.rp_filter=0
    ip addr add 198.51.100.0/31 dev ca; ip -n a addr add 198.51.100.1/31 dev ac
    ip addr add 198.51.101.0/31 dev cb; ip -n b addr add 198.51.101.1/31 dev bc
    ip -n a addr add ${A}/32 dev u0; ip -n b addr add ${B}/32 dev u0
    ip link set ca up; ip link set cb up
    ip -n a link set ac up; ip -n b link set bc up; ip -n a link set u0 up; ip -n b link set u0 up
    ip -n a route add ${B} dev u0; ip -n b route add ${A} dev u0
    ip -n b route add 198.51.100.0/31 via 198.51.101.0 dev bc
    ip -n b route add local ${VIPS} dev lo
    ip -n a route add ${VIPS} via ${B} dev u0 onlink
    ip netns exec a sysctl -qw net.ipv4.ip_forward=1
    tc -n a qdisc add dev ac clsact
  `);
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

async function stop(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    running.splice(running.indexOf(child), 1);
  }
}

/** Seconds of processor time that a process has had. */
function processorTime(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measure(options: TcpOptions, mode: TcpMode, mtu: number, flows: number): Promise<TcpSample> {
  sh(`
    ip route replace ${VIPS} via 198.51.100.1 mtu lock ${Math.min(1500, mtu - OVERHEAD)}
    ip -n a link set u0 mtu ${mtu}; ip -n b link set u0 mtu ${mtu}
  `);
  const planes: ChildProcess[] = [];
  if (mode !== 'kernel') {
    for (const [namespace, dip] of [
      ['a', BYSTANDER],
      ['b', SERVERS[0]],
    ] as const) {
      const { library } = options.programs;
      const spec: PlaneSpec = { mode, dip, owner: SERVERS[0], mtu, library };
      planes.push(await start(namespace, [process.execPath, PLANE, JSON.stringify(spec)]));
      sh(`ip -n ${namespace} link set ${TUN} txqueuelen 10000 up`);
    }
    sh(
      `tc -n a filter add dev ac ingress protocol ip u32 match ip dst ${VIPS} action mirred egress redirect dev ${TUN}`,
    );
  }
  try {
    const before = planes.map(processorTime);
    const seconds = options.milliseconds / 1000;
    const words = ['source', VIP, String(WEB_PORT), String(flows), String(seconds)];
    const source = spawn(options.programs.stream, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    running.push(source);
    const [text] = (await once(source.stdout, 'data')) as [Buffer];
    const spent = planes.map((plane, i) => processorTime(plane) - before[i]);
    await stop([source]);
    const megabits = Number(text.toString());
    const gigabytes = (megabits * (seconds + WARM_UP)) / 8000;
    return { megabits, processor: spent.reduce((sum, each) => sum + each, 0) / gigabytes };
  } finally {
    if (mode !== 'kernel') sh('tc -n a filter del dev ac ingress');
    await stop(planes);
  }
}

async function main(options: TcpOptions): Promise<void> {
  setUp();
  const sink = await start('b', [options.programs.stream, 'sink', String(WEB_PORT)]);
  const results: TcpResult[] = [];
  try {
    for (const { mtu, flows } of options.cases) {
      const rounds: Record<TcpMode, TcpSample>[] = [];
      for (let round = 0; round < options.rounds; round++) {
        rounds.push({
          native: await measure(options, 'native', mtu, flows),
          plain: await measure(options, 'plain', mtu, flows),
          offload: await measure(options, 'offload', mtu, flows),
          kernel: await measure(options, 'kernel', mtu, flows),
        });
      }
      results.push({ mtu, flows, rounds });
    }
  } finally {
    await stop([sink, ...running]);
  }
  process.stdout.write(JSON.stringify(results));
}

await main(JSON.parse(process.argv[2]) as TcpOptions);
