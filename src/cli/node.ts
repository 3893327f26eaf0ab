import { hostname } from 'node:os';
import { Command } from 'commander';
import { destination, pino, stdTimeFunctions } from 'pino';
import { AdminServer } from '../admin/server.js';
import { loadNodeConfig, type NodeConfig } from '../node/config.js';
import { standBehindDataPlane, widenInlining } from '../node/engine.js';
import { AppliedNetwork } from '../node/network.js';
import { planDevice, planSteering, printSteps, printUndo } from '../node/network-setup.js';
import { TwohopNode } from '../node/node.js';
import { networkPlan, networkStateFile, synBudget } from '../node/node-network.js';
import { dipFromStore } from '../node/own-dip.js';
import { planSynBudget, synDevice } from '../node/syn-budget.js';
import { openStore } from '../store/open.js';
import type { Store } from '../store/store.js';
import { parseIpv4 } from '../table/address.js';
import { type ClusterConfig, loadCluster } from '../table/cluster.js';
import { ExitCode, fail } from './exit.js';

interface NodeCommandOptions {
  readonly config: string;
  readonly as?: string;
  readonly dip?: string;
  readonly allowOlderTables?: boolean;
  readonly networkSetup: boolean;
  readonly printNetworkSetup?: boolean;
  readonly removeNetworkSetup?: boolean;
}

/** How long a clean stop may take before the process ends anyway. */
const STOP_LIMIT_MS = 10_000;

export function nodeCommand(): Command {
  return new Command('node')
    .description('run the load balancer of this server')
    .requiredOption('-c, --config <file>', 'cluster.yaml: underlay, servers, trafficsets and this node')
    .option('--as <server>', 'which of the servers this is (default: the host name)')
    .option('--dip <address>', 'DIP of a server that is not in the file because it was added later')
    .option('--allow-older-tables', 'take tables from the store that are older than the copies of this node')
    .option('--no-network-setup', 'do not touch addresses, routes, rules and filters; only open the TUN')
    .option('--print-network-setup', 'print the commands that would set the network up, and end')
    .option('--remove-network-setup', 'take back what a node that died left behind, and end')
    .addHelpText(
      'after',
      `
Example:
  twohop node --config /etc/twohop/cluster.yaml --as s1

Signals:
  SIGHUP           read the configuration and the tables again
  SIGTERM, SIGINT  stop, and take the network set-up back

Exit codes:
  0  stopped as asked
  1  it could not start, or a data-plane worker died
  2  the command line or the configuration is wrong`,
    )
    .action(async (options: NodeCommandOptions) => {
      const as = options.as ?? hostname();
      const cluster = loadCluster(options.config);
      const store = cluster.control.store === null ? null : await openStore(cluster.control.store);
      try {
        const dip = await ownDip(cluster, as, store, options.dip);
        const read = () => loadNodeConfig(options.config, as, dip);
        const config = read();
        if (options.printNetworkSetup === true) printSetup(config);
        else if (options.removeNetworkSetup === true) await removeSetup(config);
        else return await run(read, store, options);
      } catch (error) {
        await store?.close();
        throw error;
      }
      await store?.close();
    });
}

/** The DIP where the configuration does not have it; undefined where it has, or is to say that nobody has. */
async function ownDip(
  cluster: ClusterConfig,
  as: string,
  store: Store | null,
  given: string | undefined,
): Promise<number | undefined> {
  if (given !== undefined) return parseIpv4(given);
  if (store === null || cluster.servers.some(({ name }) => name === as)) return undefined;
  return (await dipFromStore(store, as)) ?? undefined;
}

function printSetup(config: NodeConfig): void {
  const budget = synBudget(config);
  const plan = { ...networkPlan(config), synDevice: synDevice(budget) };
  const device = planDevice(plan);
  const steering = [...planSynBudget(budget), ...planSteering({ ...plan, generation: 0 })];
  process.stdout.write(
    [
      ...(device.length > 0 ? [`# on ${config.name}, before the node opens ${config.tun.name}`] : []),
      ...printSteps(device),
      `# on ${config.name}, once the node reads ${config.tun.name}`,
      ...printSteps(steering),
      '# to take it back (sysctls: to what they were)',
      ...printUndo([...device, ...steering]),
      '',
    ].join('\n'),
  );
}

async function removeSetup(config: NodeConfig): Promise<void> {
  // A node that runs would be left without its network: whoever answers on its address is asked to stop first.
  await refuseIfRunning(config);
  const left = AppliedNetwork.leftBehind(networkStateFile(config));
  if (left === null) {
    process.stdout.write('nothing was left behind\n');
    return;
  }
  const failed = await left.remove();
  for (const line of failed) process.stderr.write(`could not be undone: ${line}\n`);
  process.stdout.write(
    failed.length === 0 ? 'removed what was left behind\n' : 'removed what could be removed\n',
  );
  if (failed.length > 0) process.exitCode = ExitCode.Failed;
}

async function refuseIfRunning(config: NodeConfig): Promise<void> {
  const probe = new AdminServer(
    () => Promise.resolve({ text: '', contentType: 'text/plain' }),
    () => ({ ok: false, detail: {} }),
  );
  try {
    for (const address of config.admin) await probe.listen(address);
  } finally {
    await probe.close();
  }
}

async function run(read: () => NodeConfig, store: Store | null, options: NodeCommandOptions): Promise<void> {
  const config = read();
  widenInlining();
  // Synchronous: the last line before a crash is the one that matters.
  const log = pino(
    {
      level: config.logLevel,
      base: { server: config.name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ sync: true }),
  );
  let ending = false;
  const end = async (code: number, asCrashed = false) => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(ExitCode.Failed), STOP_LIMIT_MS).unref();
    // A node that is still starting is stopped once it has started, so that nothing it did is forgotten.
    const node = await started.catch(() => null);
    if (node === null) return;
    await node.stop({ asCrashed });
    log.info('node has stopped');
    process.exit(code);
  };
  const started = TwohopNode.start({
    config,
    log,
    reload: read,
    networkSetup: options.networkSetup,
    store,
    allowOlderTables: options.allowOlderTables === true,
    onFailure: (error) => {
      log.fatal(error.message);
      // What fails closed must not open because a worker died: the server stays silent, as after a SIGKILL.
      void end(ExitCode.Failed, config.failureMode === 'closed');
    },
  });
  process.on('SIGTERM', () => void end(ExitCode.Ok));
  process.on('SIGINT', () => void end(ExitCode.Ok));
  process.on('SIGHUP', () => void started.then((node) => node.reload()));
  try {
    await started;
    // The package `raw-socket` sends on this thread.
    if (config.sender !== 'raw-socket') standBehindDataPlane();
  } catch (error) {
    fail(error, ExitCode.Failed);
    process.exit();
  }
}
