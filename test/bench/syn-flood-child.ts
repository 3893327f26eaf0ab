import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { formatIpv4 } from '../../src/table/address.js';
import { deviceSent, ended, writePackets } from './io-network.js';
import { buildPacket, Random, SYN, TCP } from './packets.js';
import { closeSites, prepareClient, Site } from './site.js';
import type { FloodMode, FloodRound, Held, SynFloodOptions, SynFloodResult } from './syn-flood.js';
import { SERVERS, VIP4, WEB_PORT } from './workload.js';

/**
 * Runs in namespaces made for it, itself the client: downloads through a VIP of each site, whose tables have second hops,
 * so that sockets are looked up; and a generator on the client's link to the load balancer.
 */

const MTU = 1500;
const FLOWS = 8;
/** Seconds that downloads run before they count. */
const WARM_UP = 0.3;
/** What the data planes compile and collect then is no growth. */
const WARM_UP_ROUNDS = 1;
const MOST_PACKETS = 65_536;
const FLOODED = VIP4 + 200;
/** 203.0.113.9: no VIP, and a blackhole in the load balancer's namespace. */
const DROPPED = 0xcb007109;
/** 198.18.0.0/15: where SYNs come from. */
const SOURCES = 0xc6120000;
const SOURCES_PREFIX = '198.18.0.0/15';

function writeFlood(file: string, destination: number): void {
  const random = new Random(9);
  writePackets(
    file,
    Array.from({ length: MOST_PACKETS }, () =>
      buildPacket({
        version: 4,
        protocol: TCP,
        source: SOURCES | random.below(1 << 17),
        destination,
        sourcePort: 1024 + random.below(64_512),
        destinationPort: WEB_PORT,
        tcpFlags: SYN,
        length: 40,
      }),
    ),
  );
}

/** Megabits per second of downloads, under a flood that begins when their connections are there. */
async function download(
  site: Site,
  { programs, seconds }: SynFloodOptions,
  file: string | null,
): Promise<{ megabits: number; before: Held; during: Held; sent: number; taken: number }> {
  const words = ['take', site.vip, String(WEB_PORT), String(FLOWS), String(seconds), String(WARM_UP)];
  const taker = spawn(programs.download, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface(taker.stdout);
  await once(lines, 'line');
  const counts = () => ({ sent: deviceSent(site.link).packets, taken: site.takenPackets() });
  const before = held(site);
  const first = counts();
  const start = performance.now();
  const generator = file === null ? null : startFlood(programs.generator, site.link, file);
  try {
    const failure = generator === null ? [] : [ended(generator)];
    const [text] = (await Promise.race([once(lines, 'line'), ...failure])) as [string];
    const past = (performance.now() - start) / 1000;
    const last = counts();
    return {
      megabits: Number(text),
      before,
      // While the flood goes on.
      during: held(site),
      sent: (last.sent - first.sent) / past,
      taken: (last.taken - first.taken) / past,
    };
  } finally {
    generator?.removeAllListeners('exit');
    generator?.kill('SIGKILL');
    taker.kill('SIGKILL');
  }
}

function held(site: Site): Held {
  const [, kibibytes] = /^Slab:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return { resident: site.residentMemory() / 2 ** 20, kernel: Number(kibibytes) / 1024 };
}

function startFlood(generator: string, link: string, file: string): ChildProcess {
  return spawn('taskset', ['-c', '1', generator, 'tun', link, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function openSite(mode: FloodMode, { programs, synRate }: SynFloodOptions): Promise<Site> {
  const site = await Site.open({
    mode,
    mtu: MTU,
    secondHop: SERVERS[1],
    synRate,
    library: programs.library,
  });
  // Answers leave, and the client's kernel, which forwards nothing, drops them.
  site.configure(`ip -n $b route add ${SOURCES_PREFIX} via ${site.clientFromServer} dev bc`);
  site.configure(`ip -n $a route add blackhole ${formatIpv4(DROPPED)}`);
  await site.serve([programs.download, 'serve', String(WEB_PORT)]);
  return site;
}

async function main(options: SynFloodOptions): Promise<void> {
  prepareClient();
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-flood-'));
  const files = { none: null, dropped: join(directory, 'dropped'), vip: join(directory, 'vip') };
  try {
    writeFlood(files.dropped, DROPPED);
    writeFlood(files.vip, FLOODED);
    const sites = { plain: await openSite('plain', options), offload: await openSite('offload', options) };
    const rounds: Record<FloodMode, FloodRound[]> = { plain: [], offload: [] };
    for (let round = -WARM_UP_ROUNDS; round < options.rounds; round++) {
      for (const mode of ['plain', 'offload'] as const) {
        const none = await download(sites[mode], options, files.none);
        const dropped = await download(sites[mode], options, files.dropped);
        const vip = await download(sites[mode], options, files.vip);
        if (round < 0) continue;
        const rates = { none: none.megabits, dropped: dropped.megabits, vip: vip.megabits };
        rounds[mode].push({ ...vip, dropped: dropped.sent, rates });
      }
    }
    process.stdout.write(JSON.stringify(rounds satisfies SynFloodResult));
  } finally {
    await closeSites();
    rmSync(directory, { recursive: true, force: true });
  }
}

await main(JSON.parse(process.argv[2]) as SynFloodOptions);
