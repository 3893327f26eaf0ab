import type { Command } from 'commander';
import { openStore } from '../store/open.js';
import type { Store } from '../store/store.js';
import { type ClusterConfig, loadCluster } from '../table/cluster.js';
import { usage } from './table-options.js';

/** How commands find the store. */
export interface StoreOptions {
  readonly config?: string;
  readonly store?: string;
}

export const STORE_HELP = `
The store is found by --store, by the "store" of --config, or by the environment's TWOHOP_STORE.`;

export function withStoreOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'cluster.yaml: where the store is, and what is checked against')
    .option('--store <address>', 'file:/PATH or etcd:http://HOST:PORT/PREFIX');
}

/** Opens the store, does the work, and closes it whatever happens. */
export async function useStore(
  options: StoreOptions,
  command: Command,
  work: (store: Store, cluster: ClusterConfig | null) => Promise<void>,
): Promise<void> {
  const cluster = options.config === undefined ? null : loadCluster(options.config);
  const address = options.store ?? cluster?.control.store ?? process.env.TWOHOP_STORE;
  if (address === undefined || address === '') {
    usage(
      command,
      cluster === null
        ? 'where is the store? Give --config or --store, or set TWOHOP_STORE'
        : `${options.config} has no store: give --store`,
    );
  }
  const store = await openStore(address);
  try {
    await work(store, cluster);
  } finally {
    await store.close().catch(() => {
      // The command is over, and its result told.
    });
  }
}
