import { randomBytes } from 'node:crypto';
import { Command, Option } from 'commander';
import { checkTable, checkTableInCluster, type TableProblem } from '../table/check.js';
import { type ClusterConfig, loadCluster } from '../table/cluster.js';
import { diffTables } from '../table/diff.js';
import {
  addServer,
  clearSecondHops,
  drain,
  HOP_ROLES,
  type HopRoles,
  makeTable,
  type ServerWeight,
  swapHops,
} from '../table/edit.js';
import { TableError } from '../table/errors.js';
import { type ForwardingTable, HASH_KEY_LENGTH, MAX_BUCKETS } from '../table/forwarding-table.js';
import { readTableFile, writeTableFile } from '../table/table-file.js';
import { encodeTableJson } from '../table/table-json.js';
import { ExitCode } from './exit.js';
import { wholeNumber } from './options.js';
import { type Comparison, diffGlb, makeFromGlb, showGlb } from './table-glb.js';
import { dip, fraction, hashKey, print, rowRange, servers, usage } from './table-options.js';
import { describeDiff, describeRows, describeTable, diffToJson, summarize } from './table-output.js';

/** `twohop table`: forwarding tables as files. */
export function tableCommand(): Command {
  return new Command('table')
    .description('make, show, compare and check forwarding tables')
    .addCommand(makeCommand())
    .addCommand(showCommand())
    .addCommand(diffCommand())
    .addCommand(checkCommand())
    .addHelpText('after', '\nExample:\n  twohop table show web.table');
}

const DEFAULT_BUCKETS = 65536;
/** Options that change a table. */
const EDITS = ['clearSecondHops', 'add', 'drain', 'secondHop', 'swap'];

interface MakeOptions {
  readonly from?: string;
  readonly glb?: string;
  readonly glbTable?: number;
  readonly trafficset?: string;
  readonly buckets: number;
  readonly server?: readonly ServerWeight[];
  readonly key?: Uint8Array;
  readonly tableVersion: number;
  readonly seed: number;
  readonly clearSecondHops?: true;
  readonly add?: number;
  readonly drain?: number;
  readonly secondHop: boolean;
  readonly swap?: number;
  readonly roles?: HopRoles;
  readonly output: string;
  readonly json?: true;
}

function makeCommand(): Command {
  return new Command('make')
    .description('make a new table, or the next version of one')
    .option('--trafficset <name>', 'the trafficset that the table is for')
    .option('--server <dip[=weight]>', 'a server and its share relative to the others; repeat it', servers)
    .option(
      '--buckets <n>',
      'a power of two, more than 100 per server',
      wholeNumber(1, MAX_BUCKETS),
      DEFAULT_BUCKETS,
    )
    .option(
      '--key <hex16|random>',
      'secret of the flow hash: 16 hexadecimal digits (default: random)',
      hashKey,
    )
    .option('--table-version <n>', 'version of a new table', wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option(
      '--seed <n>',
      'places buckets: the same seed gives the same table',
      wholeNumber(0, 2 ** 32 - 1),
      0,
    )
    .addOption(
      new Option('--from <file>', 'begin with this table; the edits below are made in this order').conflicts([
        'trafficset',
        'server',
        'buckets',
        'key',
        'tableVersion',
      ]),
    )
    .addOption(
      new Option(
        '--glb <file>',
        "tables of GitHub's director: its forwarding_table.json, or the binary made of it",
      ).conflicts(['from', 'server', 'buckets', 'seed', ...EDITS]),
    )
    .option(
      '--glb-table <n>',
      'with --glb and --trafficset: which of its tables, from 0',
      wholeNumber(0, 2 ** 32 - 1),
    )
    .option('--clear-second-hops', 'forget all second hops: connections that still live there break')
    .option('--add <dip>', 'a server takes its share of first slots; who was first becomes second', dip)
    .option('--drain <dip>', 'a server leaves all first slots and is kept as second hop', dip)
    .option('--no-second-hop', 'with --drain: do not keep it; its connections break')
    .option(
      '--swap <fraction>',
      'exchange the hops in this fraction (0 to 1) of the buckets with both',
      fraction,
    )
    .addOption(
      new Option(
        '--roles <roles>',
        'which hop gets new flows: the first (tcp) or the second (udp); for the edits',
      )
        .choices(HOP_ROLES)
        .conflicts(['glb']),
    )
    .requiredOption('-o, --output <file>', 'where to; replaced at once, so that nodes may follow it')
    .option('--json', 'write the readable form; nodes read both')
    .addHelpText(
      'after',
      `
Drain, add and clear speak of TCP: new connections go to the first hop. With --roles udp, for trafficsets of UDP flows
and of sessions that are published, they go to the second: a server that is drained becomes first hop, one that is added
second, and --clear-second-hops lets second hops move up.

--glb alone writes the binary that GitHub's director loads, with all its tables. With --trafficset it writes a
forwarding table with GLB's rows: the primary is first hop, the secondary second hop, and both must be IPv4. Twohop's
hash is another one, with a key of 8 bytes, so flows land in other rows than GLB puts them.

Examples:
  twohop table make --trafficset web --server 10.0.1.1 --server 10.0.2.1=2 -o web.table
  twohop table make --from web.table --drain 10.0.2.1 -o web.table
  twohop table make --from web.table --json -o web.json
  twohop table make --glb forwarding_table.json -o director.bin
  twohop table make --glb forwarding_table.json --trafficset web --glb-table 0 -o web.table`,
    )
    .action((options: MakeOptions, command: Command) => {
      if (options.glb !== undefined) return makeFromGlb({ ...options, glb: options.glb }, command);
      if (options.glbTable !== undefined) usage(command, '--glb-table belongs to --glb');
      const table =
        options.from === undefined
          ? newTable(options, command)
          : edit(readTableFile(options.from), options, command);
      writeTableFile(options.output, table, options.json ? 'json' : 'binary');
      print(`${options.output}: ${summarize(table)}`);
    });
}

function newTable(options: MakeOptions, command: Command): ForwardingTable {
  const { trafficset, server } = options;
  if (trafficset === undefined || server === undefined) {
    return usage(
      command,
      'give --trafficset and at least one --server for a new table, or --from for an old one',
    );
  }
  const edits = [options.clearSecondHops, options.add, options.drain, options.swap, options.roles];
  if (edits.some((option) => option !== undefined) || !options.secondHop) {
    return usage(command, 'a new table has nothing to edit yet: make it first, then edit it with --from');
  }
  return makeTable({
    trafficset,
    version: options.tableVersion,
    hashKey: options.key ?? randomBytes(HASH_KEY_LENGTH),
    buckets: options.buckets,
    servers: server,
    seed: options.seed,
  });
}

function edit(old: ForwardingTable, options: MakeOptions, command: Command): ForwardingTable {
  if (!options.secondHop && options.drain === undefined) usage(command, '--no-second-hop belongs to --drain');
  let table = old;
  const roles = options.roles ?? 'tcp';
  if (options.clearSecondHops) table = clearSecondHops(table, roles);
  if (options.add !== undefined) table = addServer(table, options.add, options.seed, roles);
  if (options.drain !== undefined) {
    table = drain(table, options.drain, { keepSecondHop: options.secondHop, roles });
  }
  if (options.swap !== undefined) table = swapHops(table, options.swap, options.seed);
  return table;
}

interface ShowOptions {
  readonly rows?: readonly [number, number];
  readonly glbTable?: number;
  readonly json?: true;
}

function showCommand(): Command {
  return new Command('show')
    .description('show the shares of the servers, or the rows')
    .argument('<file>', "a forwarding table in either form, or the binary of GitHub's director")
    .option('--rows <a-b>', 'show these buckets', rowRange)
    .option('--glb-table <n>', 'of a binary of GLB: this table only, from 0', wholeNumber(0, 2 ** 32 - 1))
    .addOption(
      new Option('--json', 'print the readable form of the whole table, hash key included').conflicts('rows'),
    )
    .addHelpText(
      'after',
      `
The summary shows a fingerprint of the hash key, not the key: it is a secret.

Examples:
  twohop table show web.table
  twohop table show web.table --rows 0-15
  twohop table show web.table --json | jq '.rows | length'
  twohop table show director.bin --glb-table 0 --rows 0-15`,
    )
    .action((file: string, options: ShowOptions, command: Command) => {
      if (showGlb(file, options)) return;
      if (options.glbTable !== undefined) usage(command, '--glb-table is for a binary of GLB');
      const table = readTableFile(file);
      if (options.json) process.stdout.write(encodeTableJson(table));
      else print(options.rows === undefined ? describeTable(table) : describeRows(table, ...options.rows));
    });
}

function diffCommand(): Command {
  return new Command('diff')
    .description('compare two tables: what changed, for whom, and what breaks')
    .argument('<old>', "a forwarding table, or a binary of GitHub's director")
    .argument('<new>', 'another one of its kind')
    .option('--rows <n>', 'list this many changed buckets', wholeNumber(0, MAX_BUCKETS), 20)
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `
Example:
  twohop table diff old.table web.table

Exit codes:
  0  the tables are for the same trafficset and send every flow the same way
  1  they differ
  2  a table cannot be read, or the command line is wrong`,
    )
    .action((oldFile: string, newFile: string, options: Comparison) => {
      if (diffGlb(oldFile, newFile, options)) return;
      const diff = diffTables(readTableFile(oldFile), readTableFile(newFile), options.rows);
      print(options.json ? diffToJson(diff) : describeDiff(diff));
      if (diff.differs) process.exitCode = ExitCode.Failed;
    });
}

function checkCommand(): Command {
  return new Command('check')
    .description('tell what is wrong with tables')
    .argument('[file...]', 'forwarding tables (default: those of the configuration)')
    .option('-c, --config <cluster.yaml>', 'check against its servers and trafficsets')
    .addHelpText(
      'after',
      `
Examples:
  twohop table check web.table
  twohop table check --config cluster.yaml

Exit codes:
  0  nothing is wrong; there may be warnings
  1  a table is damaged or has errors
  2  a file cannot be read, the configuration is wrong, or the command line is`,
    )
    .action((given: readonly string[], options: { readonly config?: string }, command: Command) => {
      const cluster = options.config === undefined ? undefined : loadCluster(options.config);
      const files = given.length > 0 ? given : (cluster?.trafficsets.map(({ table }) => table) ?? []);
      if (files.length === 0) usage(command, 'give a table, or a configuration with --config');
      for (const file of files) checkFile(file, cluster);
    });
}

function checkFile(file: string, cluster: ClusterConfig | undefined): void {
  let table: ForwardingTable;
  try {
    table = readTableFile(file);
  } catch (error) {
    // A file that can be read and is no sound table is what a check is for.
    if (!(error instanceof TableError) || error.code === 'unreadable') throw error;
    print(`${file}: error: ${error.code}: ${error.message.replace(`${file}: `, '')}`);
    process.exitCode = ExitCode.Failed;
    return;
  }
  const problems: TableProblem[] =
    cluster === undefined ? checkTable(table) : checkTableInCluster(table, cluster);
  for (const { severity, code, message } of problems) print(`${file}: ${severity}: ${code}: ${message}`);
  if (problems.some(({ severity }) => severity === 'error')) process.exitCode = ExitCode.Failed;
  else print(`${file}: ok: ${summarize(table)}`);
}
