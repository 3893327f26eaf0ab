import { run } from '../run.js';

/** What `wg show INTERFACE dump` tells of one peer. */
export interface PeerReading {
  /** Base64. */
  readonly publicKey: string;
  /** `198.51.100.3:51820`, `[2001:db8::1]:51820`; null before the first packet. */
  readonly endpoint: string | null;
  /** When the last handshake was completed, in seconds since 1970; 0 when there was none. */
  readonly latestHandshake: number;
}

/** The peers of every WireGuard interface in reach, by interface. @throws {TestbedError} */
export async function readAllPeers(): Promise<ReadonlyMap<string, PeerReading[]>> {
  const { stdout } = await run('wg', ['show', 'all', 'dump']);
  const peers = new Map<string, PeerReading[]>();
  for (const line of stdout.split('\n')) {
    const tab = line.indexOf('\t');
    if (tab < 0) continue;
    const name = line.slice(0, tab);
    const list = peers.get(name) ?? [];
    peers.set(name, list);
    const peer = parsePeer(line.slice(tab + 1));
    if (peer !== null) list.push(peer);
  }
  return peers;
}

/** The peers in what `wg show INTERFACE dump` prints. */
export function parsePeers(dump: string): PeerReading[] {
  return dump.split('\n').flatMap((line) => parsePeer(line) ?? []);
}

/** Peers have eight columns; the line of the interface itself has four, and is null here. */
function parsePeer(line: string): PeerReading | null {
  const columns = line.split('\t');
  if (columns.length !== 8) return null;
  const [publicKey, , endpoint, , latestHandshake] = columns;
  return {
    publicKey,
    endpoint: endpoint === '(none)' ? null : endpoint,
    latestHandshake: Number(latestHandshake),
  };
}
