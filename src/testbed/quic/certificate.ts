import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../run.js';

export interface Certificate {
  /** PEM, both. */
  readonly key: Buffer;
  readonly certificate: Buffer;
}

/** A self-signed certificate made by openssl for this run. @param directory is there; takes two files */
export async function makeCertificate(directory: string, name: string): Promise<Certificate> {
  const keyFile = join(directory, 'key.pem');
  const certificateFile = join(directory, 'certificate.pem');
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'],
    ...['-subj', `/CN=${name}`, '-days', '2', '-keyout', keyFile, '-out', certificateFile],
  ]);
  return { key: await readFile(keyFile), certificate: await readFile(certificateFile) };
}
