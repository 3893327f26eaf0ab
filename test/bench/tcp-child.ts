import { readFileSync } from 'node:fs';
import { closeSites, prepareClient, runOnClient, Site, type SiteMode } from './site.js';
import type { TcpOptions, TcpResult, TcpSample } from './tcp.js';
import { WEB_PORT } from './workload.js';

/** Runs in namespaces made for it, itself the client: bulk TCP to VIPs whose sites take turns; see site.ts. */

/** Seconds of a turn that are not counted: the connections' slow start. */
const SLOW_START = 0.2;
const MODES: readonly SiteMode[] = ['native', 'plain', 'offload', 'kernel'];

/** Bytes from the client to a site's server, for so many seconds after a warm-up. */
function transfer(options: TcpOptions, site: Site, flows: number, seconds: number): TcpSample {
  const before = site.processorTime();
  const busyBefore = busyTime();
  const words = ['source', site.vip, String(WEB_PORT), String(flows), String(seconds), String(SLOW_START)];
  const [megabits, bytes] = runOnClient(options.programs.stream, words, seconds).split(' ').map(Number);
  const gigabytes = bytes / 1e9;
  return {
    megabits,
    processor: (site.processorTime() - before) / gigabytes,
    whole: (busyTime() - busyBefore) / gigabytes,
  };
}

/** Seconds that the machine's processors have worked, for whomever: proc(5), `/proc/stat`. */
function busyTime(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) / 100;
}

async function main(options: TcpOptions): Promise<void> {
  prepareClient();
  const { library, stream } = options.programs;
  const results: TcpResult[] = [];
  try {
    for (const mtu of options.mtus) {
      const sites = {} as Record<SiteMode, Site>;
      for (const mode of MODES) {
        const site = await Site.open({ mode, mtu, library });
        await site.serve([stream, 'sink', String(WEB_PORT)]);
        if (mode === 'plain' || mode === 'offload') {
          for (const flows of options.flows) {
            transfer(options, site, flows, options.warmUp / options.flows.length);
          }
        }
        sites[mode] = site;
      }
      for (const flows of options.flows) {
        const rounds: Record<SiteMode, TcpSample>[] = [];
        for (let round = 0; round < options.rounds; round++) {
          const samples = {} as Record<SiteMode, TcpSample>;
          for (const mode of MODES) samples[mode] = transfer(options, sites[mode], flows, options.seconds);
          rounds.push(samples);
        }
        results.push({ mtu, flows, rounds });
      }
    }
  } finally {
    await closeSites();
  }
  process.stdout.write(JSON.stringify(results));
}

await main(JSON.parse(process.argv[2]) as TcpOptions);
