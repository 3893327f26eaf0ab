import { CurlDownload } from '../curl-download.js';
import { TUNNEL_SERVER } from './plan.js';

/** A download inside the tunnel of each client; resolves when all have received something. */
export function downloadThroughTunnels(clients: readonly number[], bytes: number): Promise<CurlDownload[]> {
  return CurlDownload.startAll(
    clients.map((client) => ({ client, host: TUNNEL_SERVER[4], seed: client })),
    bytes,
  );
}
