import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeJsonLine } from '../json-lines.js';
import { type PeerReading, readPeers } from './dump.js';

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
const PAUSE_MS = 200;

/** Publishes an empty set at once, says that it is ready, and follows the interface until it is killed. */
export async function publishSessions(options: PublisherOptions): Promise<never> {
  let published = '';
  replaceFile(options.file, published);
  writeJsonLine(process.stdout, { ready: options.interface });
  for (;;) {
    const peers = await readPeers(options.interface);
    const clientIds = parseClientIds(readFileSync(options.clientIds, 'utf8'));
    const set = sessionSet(peers, clientIds, options, Date.now() / 1000);
    if (set !== published) {
      replaceFile(options.file, set);
      published = set;
    }
    await sleep(PAUSE_MS);
  }
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

/** Readers see the old file or the new one, never a part of either. */
function replaceFile(file: string, text: string): void {
  const draft = `${file}.new`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}
