import { Command } from 'commander';
import {
  type FleetEvent,
  FleetEventError,
  fromTable,
  type Outcome,
  type PlannedServer,
  parseEvent,
  type Situation,
  settingsOf,
  toTable,
  whatIf,
} from '../conductor/plan/index.js';
import { ControlError, readServers } from '../conductor/servers.js';
import { decodeRecord, Keys, statusRecord } from '../store/records.js';
import type { Store } from '../store/store.js';
import { readPublished } from '../store/tables.js';
import { parseIpv4 } from '../table/address.js';
import { type ClusterConfig, loadCluster } from '../table/cluster.js';
import { readTableFile, writeTableFile } from '../table/table-file.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { repeated } from './options.js';
import { describeOutcome, outcomeToData } from './plan-output.js';
import { useStore } from './store-options.js';
import { print, usage } from './table-options.js';

interface PlanOptions {
  readonly config: string;
  readonly trafficset?: string;
  readonly from?: string;
  readonly event: readonly string[];
  readonly output?: string;
  readonly json?: true;
}

/** A trafficset as it stands, and the secret of its table. */
interface Begin {
  readonly trafficset: TrafficsetConfig;
  readonly situation: Situation;
  readonly hashKey: Uint8Array;
}

/** `twohop plan`: what events would do to a forwarding table. */
export function planCommand(): Command {
  return new Command('plan')
    .description('show what events would do to a forwarding table, without doing it')
    .requiredOption('-c, --config <file>', 'cluster.yaml: trafficsets, and where the store is')
    .option('--trafficset <name>', 'which one (default: that of --from, or the only one)')
    .option(
      '--from <table>',
      'begin with this table file and the servers of cluster.yaml (default: the store)',
    )
    .option('--event <event>', 'what happens; repeat it for one after another', repeated, [])
    .option('-o, --output <file>', 'write the table that results')
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `
Events:
  add NAME=DIP[,weight=W][,pool=P]  a new server
  drain NAME, activate NAME         the operator wants no new flows on it, and again
  fail NAME, recover NAME           its health forbids new flows, and allows them again
  remove NAME, die NAME             it is gone
  weight NAME=W                     another weight; 0: no new flows
  load NAME=X[,NAME=Y...]           a balance step with these samples of load
  wait SECONDS                      time passes, and what waited for it is done

For each event it tells which buckets change by which rule, which of them break older flows, what share of the table has
a second hop before and after, and what waits. A table file does not tell when its buckets were changed: they count as
old. Nothing is written but --output.

Examples:
  twohop plan --config cluster.yaml --event 'drain s2'
  twohop plan --config cluster.yaml --from web.table --event 'add s5=10.0.5.1' --event 'load s1=0.9,s2=0.4'

Exit codes:
  0  planned
  1  the store cannot be read
  2  the command line, an event or a file is wrong`,
    )
    .action(async (options: PlanOptions, command: Command) => {
      const cluster = loadCluster(options.config);
      const events = options.event.map(parseEvent);
      await withBegin(options, cluster, command, (begin) => tell(begin, events, cluster, options));
    });
}

async function withBegin(
  options: PlanOptions,
  cluster: ClusterConfig,
  command: Command,
  work: (begin: Begin) => void,
): Promise<void> {
  if (options.from === undefined && cluster.control.store !== null) {
    const trafficset = chooseTrafficset(cluster, options.trafficset, command);
    await useStore(options, command, async (store) => work(await fromStore(store, trafficset)));
    return;
  }
  const file = options.from ?? chooseTrafficset(cluster, options.trafficset, command).table;
  const table = readTableFile(file);
  const trafficset = chooseTrafficset(cluster, options.trafficset ?? table.trafficset, command);
  const servers = cluster.servers.map((server) => ({ ...server, standing: 'in' as const }));
  work({ trafficset, hashKey: table.hashKey, situation: { state: fromTable(table), servers, now: now() } });
}

function chooseTrafficset(
  { trafficsets }: ClusterConfig,
  name: string | undefined,
  command: Command,
): TrafficsetConfig {
  const names = trafficsets.map((trafficset) => trafficset.name).join(', ');
  if (name === undefined) {
    return trafficsets.length === 1 ? trafficsets[0] : usage(command, `give --trafficset: one of ${names}`);
  }
  const chosen = trafficsets.find((trafficset) => trafficset.name === name);
  return chosen ?? usage(command, `there is no trafficset ${name} in the configuration: there are ${names}`);
}

async function fromStore(store: Store, trafficset: TrafficsetConfig): Promise<Begin> {
  const published = await readPublished(store, trafficset.name);
  if (published === null) {
    throw new ControlError(
      `nothing is published of ${trafficset.name} in ${store.description} yet: start a conductor, or give a table with --from`,
    );
  }
  const { table, changedAt, planner } = published;
  const corrections = new Map(Object.entries(planner.corrections));
  const state = fromTable(table, { changedAt, corrections });
  const servers = await serversOf(store);
  return { trafficset, hashKey: table.hashKey, situation: { state, servers, now: now() } };
}

/** What the operator wants of the servers, and what the active conductor thinks of their health. */
async function serversOf(store: Store): Promise<PlannedServer[]> {
  const entry = await store.get(Keys.status);
  const status = entry === null ? null : decodeRecord(statusRecord, entry.value);
  const { servers } = await readServers(store);
  return servers.map(({ name, dip, weight, pool, state }) => {
    const judged = status?.servers[name]?.standing ?? 'in';
    const unwell = judged === 'down' || judged === 'gone';
    const standing = unwell ? judged : state === 'drained' ? 'drained' : 'in';
    return { name, dip: parseIpv4(dip), weight, pool, standing };
  });
}

function tell(
  { trafficset, situation, hashKey }: Begin,
  events: readonly FleetEvent[],
  cluster: ClusterConfig,
  options: PlanOptions,
): void {
  const settings = settingsOf(trafficset);
  const outcomes: { event: string | null; outcome: Outcome }[] = [];
  // What would be done anyway is not to be taken for the work of the first event.
  const anyway = whatIf(situation, null, settings);
  if (anyway.changed > 0 || events.length === 0) outcomes.push({ event: null, outcome: anyway });
  let { after } = anyway;
  for (const [at, event] of events.entries()) {
    checkAdded(event, trafficset, cluster);
    const outcome = whatIf(after, event, settings);
    outcomes.push({ event: options.event[at], outcome });
    after = outcome.after;
  }
  if (options.json) {
    const told = outcomes.map(({ event, outcome }) => outcomeToData(event, outcome, settings));
    print(JSON.stringify({ trafficset: trafficset.name, outcomes: told }, null, 2));
  } else {
    print(
      outcomes
        .map(({ event, outcome }) => describeOutcome(event, trafficset.name, outcome, settings))
        .join('\n\n'),
    );
  }
  if (options.output === undefined) return;
  writeTableFile(options.output, toTable(after.state, trafficset.name, hashKey), 'binary');
  if (!options.json) print(`\n${options.output}: version ${after.state.version}`);
}

/** What is known of the cluster only. */
function checkAdded(event: FleetEvent, trafficset: TrafficsetConfig, { underlay }: ClusterConfig): void {
  if (event.type !== 'add') return;
  const { name, dip, pool } = event.server;
  const { pools } = settingsOf(trafficset);
  if (!Object.hasOwn(pools, pool)) {
    const there = Object.keys(pools).join(', ');
    throw new FleetEventError(
      `cannot add ${name}: ${trafficset.name} has no pool ${pool}: there are ${there}`,
    );
  }
  if (underlay.prefixes.some((prefix) => prefix.contains4(dip))) return;
  throw new FleetEventError(
    `cannot add ${name}: its DIP lies in none of underlay.prefixes (${underlay.prefixes.join(', ')})`,
  );
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
