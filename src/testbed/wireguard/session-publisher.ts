import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { TestbedError } from '../errors.js';
import { writeJsonLine } from '../json-lines.js';
import { type PeerReading, parsePeers } from './dump.js';
import { replaceFile } from './replace-file.js';

/**
 * What a WireGuard service runs beside a Twohop node: it tells the node which sessions this server holds, so that the
 * node keeps their packets here and lets others go on to the second hop. It only reads what `wg` shows, and so works
 * with any WireGuard.
 */
export interface PublisherOptions {
  readonly interface: string;
  /** The session set: where the trafficset's `sessions` setting points. */
  readonly file: string;
  /** What the authentication server knows: a line per client, its public key and its clientid in hexadecimal. */
  readonly clientIds: string;
  /** Where clients send to; for those without a clientid, whose sessions are named by their 4-tuple. */
  readonly vips: readonly string[];
  readonly port: number;
}

/** Seconds after which neither side uses the keys of a handshake any more (REJECT_AFTER_TIME). */
const SESSION_LIFE = 180;

/** Shows the interface five times a second, each time with an empty line behind; ends when nobody listens any more. */
const WATCH = 'while wg show "$1" dump && echo; do sleep 0.2; done';

/** Publishes an empty set at once, says that it is ready, and follows the interface for as long as it is there. */
export async function publishSessions(options: PublisherOptions): Promise<void> {
  let published = '';
  replaceFile(options.file, published);
  writeJsonLine(process.stdout, { ready: options.interface });
  // One shell that stays: to start a process costs us more than it costs a shell.
  const watch = spawn('sh', ['-c', WATCH, 'sh', options.interface], { stdio: ['ignore', 'pipe', 'inherit'] });
  let dump = '';
  for await (const line of createInterface({ input: watch.stdout })) {
    dump += `${line}\n`;
    if (line !== '') continue;
    const clientIds = parseClientIds(readFileSync(options.clientIds, 'utf8'));
    const set = sessionSet(parsePeers(dump), clientIds, options, Date.now() / 1000);
    dump = '';
    if (set === published) continue;
    replaceFile(options.file, set);
    published = set;
  }
  throw new TestbedError(`wg shows no ${options.interface} any more`);
}

/**
 * The session set of these peers, a key per line, in order.
 * @param now seconds since 1970
 */
export function sessionSet(
  peers: readonly PeerReading[],
  clientIds: ReadonlyMap<string, string>,
  { vips, port }: Pick<PublisherOptions, 'vips' | 'port'>,
  now: number,
): string {
  const keys = peers
    .filter(({ latestHandshake }) => now - latestHandshake < SESSION_LIFE)
    .flatMap(({ publicKey, endpoint }) => {
      const clientId = clientIds.get(publicKey);
      if (clientId !== undefined) return [clientId];
      if (endpoint === null) return [];
      // WireGuard does not show on which of its addresses a peer speaks to it.
      const isIpv6 = endpoint.startsWith('[');
      return vips
        .filter((vip) => vip.includes(':') === isIpv6)
        .map((vip) => `udp ${endpoint} > ${isIpv6 ? `[${vip}]` : vip}:${port}`);
    });
  return [...new Set(keys)]
    .sort()
    .map((key) => `${key}\n`)
    .join('');
}

/** `PUBLIC-KEY CLIENTID` per line. */
function parseClientIds(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ') as [string, string]),
  );
}
