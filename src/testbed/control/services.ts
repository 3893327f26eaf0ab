import { mkdir, writeFile } from 'node:fs/promises';
import { dipOf, serverName } from '../addresses.js';
import type { Daemon } from '../daemon.js';
import type { Site } from '../site.js';
import { ETCD_URL, METRICS_PORT, PROMETHEUS_URL, TIMES } from './cluster.js';

/** What the control plane stands on, as Debian has it: etcd and Prometheus, at the router's own address. */

/** Below a lease of two seconds, as etcd counts: half as long again as an election takes. */
const ETCD_HEARTBEAT_MS = 50;
const ETCD_ELECTION_MS = 500;

/** Starts it, on the data that is there; resolves when it answers. */
export async function startEtcd(site: Site): Promise<Daemon> {
  const peers = 'http://127.0.0.1:2380';
  const etcd = site.start('etcd', [
    'etcd',
    ...['--name', site.name, '--data-dir', site.file('etcd')],
    ...['--listen-client-urls', ETCD_URL, '--advertise-client-urls', ETCD_URL],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
    ...['--initial-cluster', `${site.name}=${peers}`],
    ...['--heartbeat-interval', String(ETCD_HEARTBEAT_MS), '--election-timeout', String(ETCD_ELECTION_MS)],
    ...['--log-level', 'warn'],
  ]);
  await etcd.until('to answer', () => answers(site, `${ETCD_URL}/health`));
  return etcd;
}

/** Starts it; it scrapes the nodes of these servers. Resolves when it answers. */
export async function startPrometheus(site: Site, servers: readonly number[]): Promise<Daemon> {
  await mkdir(site.file('prometheus'), { recursive: true });
  // JSON is YAML.
  const configuration = {
    global: { scrape_interval: `${TIMES.scrapeEvery}s`, scrape_timeout: `${TIMES.scrapeEvery}s` },
    scrape_configs: [
      {
        job_name: 'nodes',
        static_configs: servers.map((server) => ({
          targets: [`${dipOf(server)}:${METRICS_PORT}`],
          labels: { server: serverName(server) },
        })),
      },
    ],
  };
  await writeFile(site.file('prometheus.yml'), JSON.stringify(configuration));
  const prometheus = site.start('prometheus', [
    'prometheus',
    `--config.file=${site.file('prometheus.yml')}`,
    `--storage.tsdb.path=${site.file('prometheus')}`,
    `--web.listen-address=${PROMETHEUS_URL.slice('http://'.length)}`,
    '--log.level=warn',
  ]);
  await prometheus.until('to answer', () => answers(site, `${PROMETHEUS_URL}/-/ready`));
  return prometheus;
}

async function answers(site: Site, url: string): Promise<boolean> {
  try {
    await site.script(`curl -sf -m 1 ${url}`);
    return true;
  } catch {
    return false;
  }
}
