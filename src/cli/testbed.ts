import Table from 'cli-table3';
import { Command } from 'commander';
import { clientName, dipOf, MAX_CLIENTS, MAX_SERVERS, serverName, vip } from '../testbed/addresses.js';
import type { NodeSettings } from '../testbed/cluster-file.js';
import { TestbedError } from '../testbed/errors.js';
import { bringUp, execute, type RunningDataCenter, takeDown } from '../testbed/lifecycle.js';
import { DEFAULT_NAME, listStates, removeState, type TestbedState } from '../testbed/state.js';
import { addNodeOptions, count, nodeSettingsOf } from './testbed-common.js';

/** `twohop testbed`: a data center on this machine, in network namespaces. */
export function testbedCommand(): Command {
  const testbed = new Command('testbed').description(
    'a data center on this machine: a router, servers and clients in network namespaces (needs root)',
  );
  testbed.addCommand(upCommand());
  testbed.addCommand(execCommand());
  testbed.addCommand(downCommand());
  testbed.addCommand(listCommand());
  testbed.addHelpText(
    'after',
    `
Example:
  twohop testbed up && twohop testbed exec c1 -- curl http://192.0.2.1/ && twohop testbed down`,
  );
  return testbed;
}

interface UpOptions extends NodeSettings {
  readonly name: string;
  readonly servers: number;
  readonly clients: number;
  readonly foreground?: boolean;
  readonly loadBalancer: boolean;
}

function upCommand(): Command {
  const command = new Command('up')
    .description('start a data center; it stays up until `twohop testbed down`')
    .option('--name <name>', 'name of the data center', DEFAULT_NAME)
    .option('--servers <n>', 'number of servers', count(MAX_SERVERS), 4)
    .option('--clients <n>', 'number of clients', count(MAX_CLIENTS), 2)
    .option('--foreground', 'stay, and take everything down on Ctrl-C or when killed')
    .option('--no-load-balancer', 'no nodes: the router alone spreads the connections');
  return addNodeOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  twohop testbed up
  twohop testbed exec c1 -- curl http://${vip(1, 4)}/
  twohop testbed exec r0 -- tcpdump -ni s1 udp port 6080
  twohop testbed down`,
    )
    .action((options: UpOptions) => up(options));
}

function execCommand(): Command {
  return new Command('exec')
    .description('run a command in a namespace: r0 (router), s1 ... (servers), c1 ... (clients)')
    .argument('<namespace>', 'where to run it')
    .argument('<command...>', 'what to run, behind --')
    .option('--name <name>', 'name of the data center', DEFAULT_NAME)
    .addHelpText(
      'after',
      `
Input, output, terminal and exit code are those of the command.

Examples:
  twohop testbed exec c1 -- curl 'http://[${vip(1, 6)}]/'
  twohop testbed exec s2 -- curl --unix-socket /run/twohop/s2.sock http://node/metrics
  twohop testbed exec s1 -- bash`,
    )
    .action(async (namespace: string, command: string[], options: { readonly name: string }) => {
      process.exitCode = await execute(options.name, namespace, command);
    });
}

function downCommand(): Command {
  return new Command('down')
    .description('end a data center and everything in it')
    .option('--name <name>', 'name of the data center', DEFAULT_NAME)
    .addHelpText('after', '\nExample:\n  twohop testbed down --name lab')
    .action((options: { readonly name: string }) => takeDown(options.name));
}

function listCommand(): Command {
  return new Command('list')
    .description('show the data centers that are up')
    .option('--json', 'for programs')
    .addHelpText('after', '\nExample:\n  twohop testbed list --json')
    .action((options: { readonly json?: boolean }) => list(options.json === true));
}

async function up(options: UpOptions): Promise<void> {
  const foreground = options.foreground === true;
  const running = await bringUp(
    options.name,
    {
      servers: options.servers,
      clients: options.clients,
      loadBalancer: options.loadBalancer ? nodeSettingsOf(options) : null,
    },
    foreground,
  );
  process.stdout.write(`${describe(running.state)}\n`);
  if (foreground) await stayUntilEnded(running);
  else running.enclosure.release();
}

async function stayUntilEnded({ state, enclosure }: RunningDataCenter): Promise<void> {
  let asked = false;
  const end = (): void => {
    asked = true;
    void enclosure.stop();
  };
  process.once('SIGINT', end).once('SIGTERM', end).once('SIGHUP', end);
  process.stdout.write('Ctrl-C takes it down.\n');
  await enclosure.ended;
  removeState(state.name);
  if (!asked) throw new TestbedError(`the data center "${state.name}" was ended from elsewhere`);
}

function describe(state: TestbedState): string {
  const name = state.name === DEFAULT_NAME ? '' : ` --name ${state.name}`;
  return [
    `Data center "${state.name}" is up: ${state.servers} servers (${serverName(1)} is ${dipOf(1)}), ` +
      `${state.clients} clients, ${state.loadBalancer ? 'Twohop on every server' : 'plain ECMP, no load balancer'}.`,
    `  twohop testbed exec${name} ${clientName(1)} -- curl http://${vip(1, 4)}/`,
    `  twohop testbed down${name}`,
  ].join('\n');
}

function list(json: boolean): void {
  const { up: states, stale } = listStates();
  for (const name of stale) process.stderr.write(`"${name}" had ended without a \`down\`: forgotten\n`);
  if (json) {
    process.stdout.write(`${JSON.stringify(states, null, 2)}\n`);
    return;
  }
  if (states.length === 0) {
    process.stdout.write('No data center is up.\n');
    return;
  }
  const table = new Table({
    head: ['name', 'pid', 'servers', 'clients', 'load balancer', 'since'],
    style: { head: [], border: [] },
  });
  for (const { name, pid, servers, clients, loadBalancer, since } of states) {
    table.push([name, pid, servers, clients, loadBalancer ? 'twohop' : 'none', since]);
  }
  process.stdout.write(`${table.toString()}\n`);
}
