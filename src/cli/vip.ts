import { Command } from 'commander';
import { type Overview, readOverview } from '../conductor/overview.js';
import { addVips, removeVips } from '../conductor/vips.js';
import { type Store, StoreError } from '../store/store.js';
import { readVips, trafficsetsWithVips, type VipEditResult } from '../store/vips.js';
import { readText } from '../table/yaml.js';
import { ExitCode } from './exit.js';
import { wholeNumber } from './options.js';
import { STORE_HELP, type StoreOptions, useStore, withStoreOptions } from './store-options.js';
import { print, usage } from './table-options.js';
import { count } from './table-output.js';

interface EditOptions extends StoreOptions {
  readonly from?: string;
  readonly wait: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

const DEFAULT_TIMEOUT = 30;
const LOOK_MS = 100;
/** More than this are counted, not listed. */
const MOST_LISTED = 20;

/** `twohop vip`: VIP ranges that come and go while everything runs. */
export function vipCommand(): Command {
  return new Command('vip')
    .description('add and remove VIP ranges at run time')
    .addCommand(editCommand('add', 'nodes begin to serve these ranges'))
    .addCommand(editCommand('remove', 'nodes stop serving these ranges'))
    .addCommand(listCommand())
    .addHelpText('after', '\nExample:\n  twohop vip add web 198.51.100.0/24 --config cluster.yaml');
}

function editCommand(verb: 'add' | 'remove', description: string): Command {
  return withStoreOptions(new Command(verb))
    .description(description)
    .argument('<trafficset>', 'whose ranges')
    .argument('[prefix...]', 'ranges like 192.0.2.0/24 or 2001:db8::/64')
    .option('--from <file>', 'a file with one range per line; # begins a comment')
    .option('--no-wait', 'do not wait for the nodes')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 3600), DEFAULT_TIMEOUT)
    .option('--json', 'print what happened as JSON')
    .addHelpText(
      'after',
      `
A range must not cover a server's DIP, or contradict another trafficset. Those of cluster.yaml stay there.
${STORE_HELP}

Example:
  twohop vip ${verb} web 198.51.100.0/24 2001:db8:1::/64 --config cluster.yaml
  twohop vip ${verb} web --from ranges.txt --config cluster.yaml

Exit codes:
  0  done
  1  it is refused, the store cannot be reached, or not every node followed in time
  2  the command line, a range or the configuration is wrong`,
    )
    .action(async (trafficset: string, given: readonly string[], options: EditOptions, command: Command) => {
      const ranges = [...given, ...(options.from === undefined ? [] : readRanges(options.from))];
      if (ranges.length === 0) usage(command, 'give ranges, or a file with --from');
      await useStore(options, command, async (store, cluster) => {
        if (verb === 'add' && cluster === null) {
          return usage(command, 'a new range is checked against servers and trafficsets: give --config');
        }
        const result =
          verb === 'add' && cluster !== null
            ? await addVips(store, cluster, trafficset, ranges)
            : await removeVips(store, cluster, trafficset, ranges);
        const serving = await awaitNodes(
          store,
          trafficset,
          result.version,
          options.wait ? options.timeout : 0,
        );
        const data = { trafficset, ...result, ...serving };
        print(options.json ? JSON.stringify(data, null, 2) : describeEdit(data));
        if (options.wait && serving.using.length < serving.nodes) process.exitCode = ExitCode.Failed;
      });
    });
}

function readRanges(file: string): string[] {
  return readText(file)
    .split('\n')
    .map((line) => line.split('#', 1)[0].trim())
    .filter((line) => line !== '');
}

interface Serving {
  readonly nodes: number;
  /** Names of nodes that use this version. */
  readonly using: readonly string[];
  readonly behind: readonly string[];
}

async function awaitNodes(
  store: Store,
  trafficset: string,
  version: number,
  timeout: number,
): Promise<Serving> {
  const deadline = performance.now() + 1000 * timeout;
  for (;;) {
    let serving: Serving | null = null;
    try {
      serving = servingOf(await readOverview(store), trafficset, version);
    } catch (error) {
      if (!(error instanceof StoreError) || performance.now() > deadline) throw error;
    }
    if (serving !== null && (serving.behind.length === 0 || performance.now() > deadline)) return serving;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function servingOf({ nodes }: Overview, trafficset: string, version: number): Serving {
  const all = [...nodes].map(([name, { vips }]) => ({ name, uses: (vips[trafficset] ?? 0) >= version }));
  return {
    nodes: all.length,
    using: all.filter(({ uses }) => uses).map(({ name }) => name),
    behind: all.filter(({ uses }) => !uses).map(({ name }) => name),
  };
}

function describeEdit(data: VipEditResult & Serving & { readonly trafficset: string }): string {
  const { trafficset, version, added, removed, alreadyThere, notThere, using, nodes, behind } = data;
  const list = (ranges: readonly string[]) =>
    ranges.length <= MOST_LISTED ? ranges.join(', ') : count(ranges.length, 'range');
  const lines: string[] = [];
  if (added.length > 0) lines.push(`${trafficset}: added ${list(added)}`);
  if (removed.length > 0) lines.push(`${trafficset}: removed ${list(removed)}`);
  if (alreadyThere.length > 0) lines.push(`${trafficset}: there already: ${list(alreadyThere)}`);
  if (notThere.length > 0) lines.push(`${trafficset}: not there: ${list(notThere)}`);
  lines.push(
    nodes === 0
      ? `version ${version}, ${count(data.count, 'range')} beside cluster.yaml; no node is there`
      : `version ${version}, ${count(data.count, 'range')} beside cluster.yaml; ${using.length} of ${count(nodes, 'node')} serve it` +
          (behind.length === 0 ? '' : `, not yet: ${behind.join(', ')}`),
  );
  return lines.join('\n');
}

interface ListOptions extends StoreOptions {
  readonly json?: boolean;
}

function listCommand(): Command {
  return withStoreOptions(new Command('list'))
    .description('ranges that came at run time; with --config, those of cluster.yaml too')
    .argument('[trafficset]', 'only its ranges')
    .option('--json', 'print them as JSON')
    .addHelpText('after', `\nExample:\n  twohop vip list web --config cluster.yaml\n${STORE_HELP}`)
    .action((only: string | undefined, options: ListOptions, command: Command) =>
      useStore(options, command, async (store, cluster) => {
        const names = new Set([
          ...(cluster?.trafficsets ?? []).map(({ name }) => name),
          ...(await trafficsetsWithVips(store)),
        ]);
        const lists = [];
        for (const name of names) {
          if (only !== undefined && only !== name) continue;
          const { version, ranges } = await readVips(store, name);
          const fixed = cluster?.trafficsets.find((one) => one.name === name)?.vips.map(String) ?? [];
          lists.push({ trafficset: name, version, cluster: fixed, store: ranges });
        }
        if (options.json) return print(JSON.stringify(lists, null, 2));
        for (const { trafficset, cluster: fixed, store: ranges, version } of lists) {
          for (const range of fixed) print(`${trafficset} ${range} cluster.yaml`);
          for (const range of ranges) print(`${trafficset} ${range} version ${version}`);
        }
      }),
    );
}
