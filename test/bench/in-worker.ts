import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/**
 * Measures a case in a worker thread of its own.
 * @param script posts one message: what it has measured
 * @param init the script's `workerData`
 */
export async function inWorker<Measured>(script: URL, init: unknown): Promise<Measured> {
  const worker = new Worker(script, { workerData: init });
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error));
  const [measured] = await Promise.race([once(worker, 'message'), failed]);
  return measured;
}
