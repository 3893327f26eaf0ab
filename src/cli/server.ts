import { Command, InvalidArgumentError } from 'commander';
import { type Overview, readOverview } from '../conductor/overview.js';
import {
  type ChangeResult,
  ControlError,
  changeServer,
  readServers,
  type ServerChange,
} from '../conductor/servers.js';
import { ExitCode } from './exit.js';
import { wholeNumber } from './options.js';
import { awaitChange, describeChange, describeServers, serverToData } from './server-output.js';
import { STORE_HELP, type StoreOptions, useStore, withStoreOptions } from './store-options.js';
import { print, usage } from './table-options.js';

interface ChangeOptions extends StoreOptions {
  readonly force?: boolean;
  readonly wait: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

const DEFAULT_TIMEOUT = 30;

/** `twohop server`: which servers there are, and what is wanted of them. */
export function serverCommand(): Command {
  return new Command('server')
    .description('add, drain and remove servers, and see what that changes')
    .addCommand(listCommand())
    .addCommand(addCommand())
    .addCommand(
      changeCommand('drain', 'no new flows for it; those it has stay', (name) => ({
        name,
        change: { type: 'drain' },
      })),
    )
    .addCommand(
      changeCommand('activate', 'take a drain back', (name) => ({ name, change: { type: 'activate' } })),
    )
    .addCommand(setCommand())
    .addCommand(
      changeCommand('remove', 'it is gone: its flows are lost, drain it first', (name) => ({
        name,
        change: { type: 'remove' },
      })),
    )
    .addHelpText('after', '\nExample:\n  twohop server drain s3 --config cluster.yaml');
}

const CHANGE_HELP = `
It waits until the active conductor has published tables that follow the change and every node that is there uses them,
and tells how many buckets changed, which rule chose them, and how many flows take a second hop then.
${STORE_HELP}

Exit codes:
  0  done; or it is stored, and takes effect later (--no-wait, no active conductor, a server that is not healthy yet)
  1  it is refused, the store cannot be reached, or not everybody followed in time
  2  the command line or the configuration is wrong`;

function addCommand(): Command {
  return withChangeOptions(new Command('add'))
    .description('a new server, which gets its share of new flows once it is healthy')
    .argument('<name>', 'of the server')
    .requiredOption('--dip <address>', 'its IPv4 address on the underlay')
    .option('--weight <n>', 'its share relative to others of its pool; 0: no new flows', decimal, 1)
    .option('--pool <name>', 'which pool it belongs to', 'default')
    .addHelpText(
      'after',
      `\nExample:\n  twohop server add s5 --dip 10.0.1.5 --config cluster.yaml\n${CHANGE_HELP}`,
    )
    .action((name: string, options: AddOptions, command: Command) => {
      if (options.config === undefined) {
        usage(command, 'a new server is checked against the underlay and the VIPs: give --config');
      }
      const { dip, weight, pool } = options;
      return change(name, { type: 'add', dip, weight, pool }, options, command);
    });
}

interface AddOptions extends ChangeOptions {
  readonly dip: string;
  readonly weight: number;
  readonly pool: string;
}

interface SetOptions extends ChangeOptions {
  readonly weight?: number;
  readonly pool?: string;
}

function setCommand(): Command {
  return withChangeOptions(new Command('set'))
    .description('another weight or pool')
    .argument('<name>', 'of the server')
    .option('--weight <n>', 'its share relative to others of its pool; 0: no new flows', decimal)
    .option('--pool <name>', 'which pool it belongs to')
    .addHelpText(
      'after',
      `\nExample:\n  twohop server set s5 --weight 2 --config cluster.yaml\n${CHANGE_HELP}`,
    )
    .action((name: string, options: SetOptions, command: Command) => {
      const { weight, pool } = options;
      if (weight === undefined && pool === undefined) usage(command, 'give --weight or --pool');
      const wanted: ServerChange = {
        type: 'set',
        ...(weight === undefined ? {} : { weight }),
        ...(pool === undefined ? {} : { pool }),
      };
      return change(name, wanted, options, command);
    });
}

function changeCommand(
  verb: string,
  description: string,
  changeOf: (name: string) => { name: string; change: ServerChange },
): Command {
  return withChangeOptions(new Command(verb))
    .description(description)
    .argument('<name>', 'of the server')
    .addHelpText('after', `\nExample:\n  twohop server ${verb} s5 --config cluster.yaml\n${CHANGE_HELP}`)
    .action((given: string, options: ChangeOptions, command: Command) => {
      const { name, change: wanted } = changeOf(given);
      return change(name, wanted, options, command);
    });
}

function withChangeOptions(command: Command): Command {
  return withStoreOptions(command)
    .option('--force', 'even if it leaves a trafficset without a server for new flows')
    .option('--no-wait', 'do not wait for the tables')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 3600), DEFAULT_TIMEOUT)
    .option('--json', 'print what happened as JSON');
}

async function change(
  name: string,
  wanted: ServerChange,
  options: ChangeOptions,
  command: Command,
): Promise<void> {
  await useStore(options, command, async (store, cluster) => {
    const before: Overview = await readOverview(store);
    const result: ChangeResult = await changeServer(store, name, wanted, {
      cluster,
      force: options.force === true,
    });
    const outcome = await awaitChange(
      store,
      before,
      name,
      wanted,
      result,
      options.wait ? options.timeout : 0,
    );
    print(options.json ? JSON.stringify(outcome.data, null, 2) : describeChange(outcome));
    if (outcome.failed) process.exitCode = ExitCode.Failed;
  });
}

interface ListOptions extends StoreOptions {
  readonly json?: boolean;
}

function listCommand(): Command {
  return withStoreOptions(new Command('list'))
    .description('the servers, and what is wanted of them')
    .option('--json', 'print them as JSON')
    .addHelpText('after', `\nExample:\n  twohop server list --config cluster.yaml\n${STORE_HELP}`)
    .action((options: ListOptions, command: Command) =>
      useStore(options, command, async (store) => {
        const { servers, damaged } = await readServers(store);
        print(options.json ? JSON.stringify(servers.map(serverToData), null, 2) : describeServers(servers));
        for (const name of damaged) {
          throw new ControlError(
            `servers/${name} in the store cannot be read: remove it with twohop server remove ${name}, and add it again`,
          );
        }
      }),
    );
}

function decimal(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a number like 2 or 0.5.');
}
