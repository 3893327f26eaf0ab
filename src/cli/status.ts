import { Command } from 'commander';
import { readOverview } from '../conductor/overview.js';
import { describeOverview, overviewToData } from './status-output.js';
import { STORE_HELP, type StoreOptions, useStore, withStoreOptions } from './store-options.js';
import { print } from './table-options.js';

interface StatusOptions extends StoreOptions {
  readonly json?: boolean;
}

/** Where the width of a terminal is not known. */
const COLUMNS = 160;

export function statusCommand(): Command {
  return withStoreOptions(new Command('status'))
    .description('one screen: conductors, servers, health, load, shares, versions, last moves')
    .option('--json', 'print all of it as JSON')
    .addHelpText(
      'after',
      `
Load is told as a multiple of the mean of the server's pool; bars compare shares of new flows.

Example:
  twohop status --config cluster.yaml
  twohop status --json | jq '.servers[] | {name, standing, why}'
${STORE_HELP}`,
    )
    .action((options: StatusOptions, command: Command) =>
      useStore(options, command, async (store) => {
        const overview = await readOverview(store);
        print(
          options.json
            ? JSON.stringify(overviewToData(overview), null, 2)
            : describeOverview(overview, process.stdout.columns ?? COLUMNS),
        );
      }),
    );
}
