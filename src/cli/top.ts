import { Command } from 'commander';
import logUpdate from 'log-update';
import { sparkline } from '../chart/terminal.js';
import { type Overview, readOverview } from '../conductor/overview.js';
import { type Store, StoreError } from '../store/store.js';
import { wholeNumber } from './options.js';
import { describeOverview, serverRows } from './status-output.js';
import { STORE_HELP, type StoreOptions, useStore, withStoreOptions } from './store-options.js';
import { print } from './table-options.js';

interface TopOptions extends StoreOptions {
  readonly interval: number;
  readonly count?: number;
}

/** Samples in a sparkline. */
const HISTORY = 24;

export function topCommand(): Command {
  return withStoreOptions(new Command('top'))
    .description('the same as status, live: load over time, shares, moves')
    .option('--interval <seconds>', 'between two looks', wholeNumber(1, 3600), 1)
    .option('--count <n>', 'end after so many', wholeNumber(1, 1_000_000))
    .addHelpText(
      'after',
      `
q or Ctrl-C ends it. Without a terminal it prints a line per server and look.

Example:
  twohop top --config cluster.yaml
${STORE_HELP}`,
    )
    .action((options: TopOptions, command: Command) =>
      useStore(options, command, (store) =>
        process.stdout.isTTY ? live(store, options) : lines(store, options),
      ),
    );
}

/** Samples of load by server, the newest last. */
class LoadHistory {
  private readonly samples = new Map<string, number[]>();

  add(overview: Overview): void {
    for (const { name, node } of serverRows(overview)) {
      const samples = this.samples.get(name) ?? [];
      samples.push(node?.cpu ?? Number.NaN);
      if (samples.length > HISTORY) samples.shift();
      this.samples.set(name, samples);
    }
  }

  lines(): Map<string, string> {
    return new Map([...this.samples].map(([name, samples]) => [name, sparkline(samples, 0, 1)]));
  }
}

async function live(store: Store, { interval, count = Number.POSITIVE_INFINITY }: TopOptions): Promise<void> {
  const ended = new Ending();
  const history = new LoadHistory();
  let last = 'reading the store';
  try {
    for (let look = 0; look < count && !ended.isOver; look++) {
      const columns = process.stdout.columns ?? 80;
      try {
        const overview = await readOverview(store);
        history.add(overview);
        last = describeOverview(overview, columns, history.lines());
        draw(last);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        draw(`${error.message}\nwhat it said last:\n\n${last}`);
      }
      if (look + 1 < count) await ended.within(1000 * interval);
    }
  } finally {
    ended.close();
    logUpdate.done();
  }
}

/** What does not fit on the screen would scroll, and be drawn again and again. */
function draw(text: string): void {
  const rows = (process.stdout.rows ?? 24) - 1;
  logUpdate(text.split('\n').slice(0, rows).join('\n'));
}

async function lines(
  store: Store,
  { interval, count = Number.POSITIVE_INFINITY }: TopOptions,
): Promise<void> {
  const ended = new Ending();
  try {
    for (let look = 0; look < count && !ended.isOver; look++) {
      try {
        const overview = await readOverview(store);
        for (const row of serverRows(overview)) {
          const shares = Object.entries(row.newFlows).map(
            ([name, share]) => `${name}=${(100 * share).toFixed(1)}%`,
          );
          const cpu = row.node?.cpu == null ? 'cpu=?' : `cpu=${row.node.cpu.toFixed(2)}`;
          print([new Date().toISOString(), row.name, row.standing ?? 'unknown', cpu, ...shares].join(' '));
        }
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        print(`${new Date().toISOString()} store: ${error.message}`);
      }
      if (look + 1 < count) await ended.within(1000 * interval);
    }
  } finally {
    ended.close();
  }
}

/** When a person ends it: q, Ctrl-C, or a signal. */
class Ending {
  isOver = false;
  private wake: () => void = () => {};
  private readonly isRaw = process.stdin.isTTY === true;

  constructor() {
    process.once('SIGINT', this.end);
    process.once('SIGTERM', this.end);
    process.stdout.on('error', this.end);
    if (!this.isRaw) return;
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.key);
  }

  /** Resolves after so many milliseconds, or when it is over. */
  within(milliseconds: number): Promise<void> {
    if (this.isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    process.off('SIGINT', this.end);
    process.off('SIGTERM', this.end);
    if (!this.isRaw) return;
    process.stdin.off('data', this.key);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }

  private readonly end = () => {
    this.isOver = true;
    this.wake();
  };

  private readonly key = (bytes: Buffer) => {
    const text = bytes.toString();
    // In raw mode Ctrl-C comes as a character.
    if (text.includes('q') || text.includes('\u0003')) this.end();
  };
}
