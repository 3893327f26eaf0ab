import { parseStoreAddress } from './address.js';
import { FileStore } from './file.js';
import type { Store } from './store.js';

/**
 * Opens the store at an address of cluster.yaml: `file:/PATH` (made when it is not there) or
 * `etcd:http://[USER:PASSWORD@]HOST:PORT[,http://HOST:PORT...]/PREFIX`.
 *
 * An etcd that is away does not hinder it: calls are refused until it is there.
 * @throws StoreError `bad-address`; for directories `unwritable`, `unavailable`, `damaged`
 */
export async function openStore(address: string): Promise<Store> {
  const parsed = parseStoreAddress(address);
  if (parsed.type === 'file') return FileStore.open(parsed.directory);
  // What speaks gRPC takes a while to load: not where it is not needed.
  const { EtcdStore } = await import('./etcd.js');
  return new EtcdStore(parsed);
}
