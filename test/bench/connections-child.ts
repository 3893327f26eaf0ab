import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions, ConnectionRound } from './connections.js';
import { closeSites, prepareClient, runOnClient, Site } from './site.js';
import { WEB_PORT } from './workload.js';

/** Runs in namespaces made for it, itself the client: wrk to VIPs whose sites take turns; see site.ts. */

const MTU = 1500;
/** Seconds before the first turn: the optimising compiler's. */
const WARM_UP = 3;
/** Requests at once. */
const CONNECTIONS = 64;
/** Bytes of the page that is asked for: as long as nginx's own first page. */
const PAGE = 612;

/** One process, which ends when it is told to, and tells when it has begun. */
const NGINX = `
daemon off;
master_process off;
error_log stderr notice;
events { worker_connections 4096; }
http {
  access_log off;
  server {
    listen ${WEB_PORT} backlog=4096;
    location / { return 200 "short\\n"; }
  }
}
`;

/** New connections per second. */
function visit(address: string, seconds: number): number {
  const words = ['-t', '1', '-c', String(CONNECTIONS), '-d', String(seconds), '-H', 'Connection: close'];
  const text = runOnClient('wrk', [...words, `http://${address}:${WEB_PORT}/`], seconds);
  const rate = /^Requests\/sec:\s+([\d.]+)/m.exec(text)?.[1];
  if (rate === undefined || /connect [1-9]|timeout [1-9]|Non-2xx/.test(text))
    throw new Error(`wrk says:\n${text}`);
  return Number(rate);
}

async function openSite(mode: 'plain' | 'offload', library: string, directory: string): Promise<Site> {
  const site = await Site.open({ mode, mtu: MTU, library });
  const file = join(directory, `${mode}.conf`);
  writeFileSync(file, `pid ${join(directory, `${mode}.pid`)};${NGINX}`);
  const nginx = ['nginx', '-e', 'stderr', '-p', directory, '-c', file];
  await site.serve(['sh', '-c', 'exec "$@" 2>&1', 'sh', ...nginx]);
  return site;
}

async function main(options: ConnectionOptions): Promise<void> {
  prepareClient();
  const { library } = options.programs;
  const { seconds } = options;
  const directory = mkdtempSync(join(tmpdir(), 'twohop-bench-nginx-'));
  // For nginx's own user, if that is not ours.
  chmodSync(directory, 0o755);
  mkdirSync(join(directory, 'html'));
  writeFileSync(join(directory, 'html', 'index.html'), 'x'.repeat(PAGE));
  const rounds: ConnectionRound[] = [];
  try {
    const plain = await openSite('plain', library, directory);
    const offload = await openSite('offload', library, directory);
    for (const site of [plain, offload]) visit(site.vip, WARM_UP);
    for (let round = 0; round < options.rounds; round++) {
      rounds.push({
        direct: visit(offload.direct, seconds),
        plain: visit(plain.vip, seconds),
        offload: visit(offload.vip, seconds),
      });
    }
  } finally {
    await closeSites();
    rmSync(directory, { recursive: true, force: true });
  }
  process.stdout.write(JSON.stringify(rounds));
}

await main(JSON.parse(process.argv[2]) as ConnectionOptions);
