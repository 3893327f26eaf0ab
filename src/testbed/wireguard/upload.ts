import { createHash } from 'node:crypto';
import { clientName } from '../addresses.js';
import { TestbedError } from '../errors.js';
import { inNamespace, run } from '../run.js';
import type { UploadReceipt } from '../service.js';
import { PseudoRandomStream } from '../stream.js';
import { TUNNEL_SERVER } from './plan.js';

/**
 * One upload inside a tunnel, by Debian's curl.
 * @param seconds how long it may take
 * @returns null, or what went wrong
 */
export async function uploadThroughTunnel(
  client: number,
  bytes: number,
  seconds: number,
): Promise<string | null> {
  // As text, so that it passes through pipes unchanged.
  const body = new PseudoRandomStream(client).next(bytes / 2).toString('hex');
  const [command, args] = inNamespace(clientName(client), [
    ...['curl', '--silent', '--show-error', '--max-time', String(seconds)],
    ...['--upload-file', '-', `http://${TUNNEL_SERVER[4]}/upload`],
  ]);
  try {
    const { stdout } = await run(command, args, body);
    const receipt: UploadReceipt = JSON.parse(stdout);
    if (receipt.bytes !== body.length) return `${receipt.bytes} of ${body.length} bytes arrived`;
    const sent = createHash('sha256').update(body).digest('hex');
    return receipt.sha256 === sent ? null : 'wrong checksum';
  } catch (error) {
    if (error instanceof TestbedError) return error.message;
    throw error;
  }
}
