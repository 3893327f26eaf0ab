import { MAX_VALUE, StoreError, type Transaction } from './store.js';

/** What every store takes in one transaction: etcd refuses requests of 1.5 MiB and of more than 128 operations. */
export const MAX_TRANSACTION = 1024 * 1024;
export const MAX_OPERATIONS = 100;

/**
 * The same limits for all stores, so that what works with a directory works with etcd.
 * @throws StoreError `too-big`
 * @throws RangeError on a key that is empty or given twice: a defect of the caller
 */
export function checkTransaction({ compare = [], puts = [], deletes = [] }: Transaction): void {
  const keys = [...puts.map(({ key }) => key), ...deletes];
  if (new Set(keys).size < keys.length) throw new RangeError('a transaction changes a key twice');
  if (keys.includes('')) throw new RangeError('a transaction changes a key without a name');
  let total = 0;
  for (const { key, value } of puts) {
    if (value.length > MAX_VALUE) {
      throw new StoreError(
        'too-big',
        `${key} has ${value.length} bytes, more than the ${MAX_VALUE} of one value: cut it into pieces`,
      );
    }
    total += value.length + key.length;
  }
  if (total > MAX_TRANSACTION || keys.length > MAX_OPERATIONS || compare.length > MAX_OPERATIONS) {
    throw new StoreError(
      'too-big',
      `a transaction of ${keys.length} keys and ${total} bytes is more than the ${MAX_OPERATIONS} keys and ` +
        `${MAX_TRANSACTION} bytes that every store takes: make several`,
    );
  }
}
