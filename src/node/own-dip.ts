import { decodeRecord, Keys, serverRecord } from '../store/records.js';
import { type Store, StoreError } from '../store/store.js';
import { parseIpv4 } from '../table/address.js';

/**
 * The DIP of a server that is not in cluster.yaml, because it was added later.
 * @returns host-order number, or null when the store does not know it either
 * @throws StoreError when the store is away
 */
export async function dipFromStore(store: Store, name: string): Promise<number | null> {
  try {
    const entry = await store.get(Keys.server(name));
    const record = entry === null ? null : decodeRecord(serverRecord, entry.value);
    return record === null ? null : parseIpv4(record.dip);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreError(
      error.code,
      `${name} is not in the configuration, and the store, which might know its DIP, is away; give it with --dip: ${error.message}`,
      { cause: error },
    );
  }
}
