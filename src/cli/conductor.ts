import { Command } from 'commander';
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import { AdminServer, parseAdminAddress } from '../admin/server.js';
import { Conductor } from '../conductor/conductor.js';
import { openStore } from '../store/open.js';
import { type ClusterConfig, loadCluster } from '../table/cluster.js';
import { ConfigError } from '../table/yaml.js';
import { ExitCode, fail } from './exit.js';
import { repeated } from './options.js';

interface ConductorCommandOptions {
  readonly config: string;
  readonly name: string;
  readonly newTable: readonly string[];
}

/** How long a clean stop may take before the process ends anyway. */
const STOP_LIMIT_MS = 5000;

export function conductorCommand(): Command {
  return new Command('conductor')
    .description('run the control plane: one leads and keeps the forwarding tables, others stand by')
    .requiredOption('-c, --config <file>', 'cluster.yaml, with a store')
    .requiredOption('--name <name>', 'of this conductor among those of the same store')
    .option(
      '--new-table <trafficset>',
      'make a new first table although nodes hold one that nobody knows (breaks connections); repeat it',
      repeated,
      [],
    )
    .addHelpText(
      'after',
      `
Example:
  twohop conductor --config /etc/twohop/cluster.yaml --name a

Start a second one with another --name: it takes over when the first is gone (conductor.lease_seconds).

Signals:
  SIGHUP           read the configuration again: trafficsets, monitors, conductor; not where the store is, nor
                   conductor.lease_seconds, .state and .admin, which need a restart
  SIGTERM, SIGINT  give up leadership and stop

Exit codes:
  0  stopped as asked
  1  it could not start
  2  the command line or the configuration is wrong`,
    )
    .action(run);
}

async function run(options: ConductorCommandOptions): Promise<void> {
  const cluster = loadCluster(options.config);
  const address = storeOf(cluster, options.config);
  refuseBadName(options.name, options.config);
  refuseUnknown(cluster, options);
  const log = pino(
    {
      level: cluster.control.conductor.log_level,
      base: { conductor: options.name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ sync: true }),
  );
  const store = await openStore(address);
  const conductor = Conductor.start({
    name: options.name,
    cluster,
    store,
    log,
    newTables: options.newTable,
  });
  const admin = new AdminServer(
    async () => (await conductor).metrics.text(),
    () => started?.health() ?? { ok: false, detail: { conductor: options.name, store: 'not reached yet' } },
  );
  let started: Conductor | null = null;
  let ending = false;
  const end = async (code: number) => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(code), STOP_LIMIT_MS).unref();
    await started?.stop();
    await admin.close();
    await store.close().catch(() => {
      // What it holds for us runs out by itself.
    });
    log.info('conductor has stopped');
    process.exit(code);
  };
  process.on('SIGTERM', () => void end(ExitCode.Ok));
  process.on('SIGINT', () => void end(ExitCode.Ok));
  process.on(
    'SIGHUP',
    () =>
      void conductor.then(
        (running) => reload(running, options, log),
        () => {},
      ),
  );
  try {
    await listen(admin, cluster, options);
    log.info({ store: store.description }, 'conductor starts');
    started = await conductor;
  } catch (error) {
    fail(error, ExitCode.Failed);
    process.exit();
  }
}

function storeOf({ control }: ClusterConfig, file: string): string {
  if (control.store !== null) return control.store;
  throw new ConfigError([
    {
      file,
      path: 'store',
      message:
        'expected the address of a store, like file:/var/lib/twohop/store or etcd:http://10.0.0.1:2379/twohop',
    },
  ]);
}

function refuseBadName(name: string, file: string): void {
  if (/^[a-z0-9-]{1,64}$/.test(name)) return;
  throw new ConfigError([{ file, path: '', message: `--name ${name}: use 1 to 64 of a-z, 0-9 and "-"` }]);
}

function refuseUnknown({ trafficsets }: ClusterConfig, { config, newTable }: ConductorCommandOptions): void {
  const names = trafficsets.map(({ name }) => name);
  const unknown = newTable.find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const message = `--new-table ${unknown}: there is no such trafficset, there are ${names.join(', ')}`;
  throw new ConfigError([{ file: config, path: '', message }]);
}

async function listen(
  admin: AdminServer,
  { control }: ClusterConfig,
  { name, config }: ConductorCommandOptions,
): Promise<void> {
  for (const [index, text] of control.conductor.admin.entries()) {
    const address = parseAdminAddress(text.replaceAll('{name}', name));
    if (address === undefined) {
      const message = `expected HOST:PORT, [V6]:PORT or unix:/PATH, got ${JSON.stringify(text)}`;
      throw new ConfigError([{ file: config, path: `conductor.admin[${index}]`, message }]);
    }
    await admin.listen(address);
  }
}

/** A configuration that is wrong changes nothing. */
async function reload(conductor: Conductor, { config }: ConductorCommandOptions, log: Logger): Promise<void> {
  try {
    await conductor.reload(loadCluster(config));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    log.error(`the configuration stays as it was: ${error.message}`);
  }
}
