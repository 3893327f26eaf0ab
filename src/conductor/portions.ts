import { MAX_VALUE, type Put } from '../store/store.js';

/** etcd takes 128 operations and 1.5 MB in one transaction. */
const PUTS_AT_ONCE = 50;
const BYTES_AT_ONCE = MAX_VALUE;

/** Puts for several transactions: as many as fit into one, each time. */
export function portions(puts: readonly Put[]): Put[][] {
  const all: Put[][] = [[]];
  let bytes = 0;
  for (const put of puts) {
    const last = all[all.length - 1];
    bytes += put.value.length;
    if (last.length > 0 && (last.length === PUTS_AT_ONCE || bytes > BYTES_AT_ONCE)) {
      all.push([put]);
      bytes = put.value.length;
    } else last.push(put);
  }
  return all;
}
