import type { LatencyOptions, LatencyRound, LatencySample } from './latency.js';
import { closeSites, prepareClient, runOnClient, Site } from './site.js';
import { WEB_PORT } from './workload.js';

/** Runs in namespaces made for it, itself the client: small requests to VIPs whose sites take turns; see site.ts. */

const MODES = ['kernel', 'plain', 'offload'] as const;
const MTU = 1500;
/** Seconds before the first turn: the optimising compiler's. */
const WARM_UP = 2;

function ask(options: LatencyOptions, site: Site, seconds: number): LatencySample {
  const words = ['ask', site.vip, String(WEB_PORT), String(seconds)];
  const [p50, p99] = runOnClient(options.programs.pingpong, words, seconds).split(' ').map(Number);
  return { p50, p99 };
}

async function main(options: LatencyOptions): Promise<void> {
  prepareClient();
  const { library, pingpong } = options.programs;
  const rounds: LatencyRound[] = [];
  try {
    const sites = {} as Record<(typeof MODES)[number], Site>;
    for (const mode of MODES) {
      sites[mode] = await Site.open({ mode, mtu: MTU, library });
      await sites[mode].serve([pingpong, 'serve', String(WEB_PORT)]);
      ask(options, sites[mode], WARM_UP);
    }
    for (let round = 0; round < options.rounds; round++) {
      const samples = {} as Record<(typeof MODES)[number], LatencySample>;
      for (const mode of MODES) samples[mode] = ask(options, sites[mode], options.seconds);
      rounds.push(samples);
    }
  } finally {
    await closeSites();
  }
  process.stdout.write(JSON.stringify(rounds));
}

await main(JSON.parse(process.argv[2]) as LatencyOptions);
