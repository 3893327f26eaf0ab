import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** Reads one of the vector files described in `test/data/README.md`. */
export function readVectors<T>(name: string): T {
  const path = new URL(`./data/${name}.json.gz`, import.meta.url);
  return JSON.parse(gunzipSync(readFileSync(path)).toString('utf8')) as T;
}

export const ETHERNET_HEADER = 14;

/** The IP packet of an Ethernet frame in hex. */
export function ipOfFrame(hex: string): Buffer {
  return Buffer.from(hex, 'hex').subarray(ETHERNET_HEADER);
}
