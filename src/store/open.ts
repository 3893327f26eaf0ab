import { parseStoreAddress } from './address.js';
import { FileStore } from './file.js';
import { type Store, StoreError } from './store.js';

/**
 * Opens the store at an address of cluster.yaml: `file:/PATH` (made when it is not there) or
 * `etcd:http://[USER:PASSWORD@]HOST:PORT[,http://HOST:PORT...]/PREFIX`.
 *
 * An etcd that is away does not stop it: its calls are refused until it is there.
 * @throws StoreError `bad-address`; `unwritable` where a directory cannot be made
 */
export async function openStore(address: string): Promise<Store> {
  const parsed = parseStoreAddress(address);
  if (parsed.type === 'file') return FileStore.open(parsed.directory);
  throw new StoreError('unavailable', `${parsed.type} stores are not there yet`);
}
