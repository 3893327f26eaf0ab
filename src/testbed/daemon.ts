import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { TestbedError } from './errors.js';
import { inNamespace } from './run.js';
import { START_MS, waitUntil } from './wait.js';

/** Lines of a dead daemon's log that are shown; a stack trace has its message above it. */
const LOG_LINES = 12;

/**
 * A long-running process in one of the data center's namespaces, its standard error in a log file. Nobody stops
 * daemons one by one: they end with the enclosure.
 */
export class Daemon {
  private constructor(
    readonly name: string,
    readonly child: ChildProcess,
    private readonly log: string,
  ) {}

  static start(options: {
    /** For messages. */
    readonly name: string;
    readonly namespace: string;
    readonly command: readonly string[];
    /** Standard error is appended to this file, and standard output too unless it is wanted. */
    readonly log: string;
    readonly talks: boolean;
  }): Daemon {
    const [command, args] = inNamespace(options.namespace, options.command);
    const log = openSync(options.log, 'a');
    try {
      const stdio = options.talks ? (['pipe', 'pipe', log] as const) : (['ignore', log, log] as const);
      const child = spawn(command, args, { stdio: [...stdio] });
      // A failed spawn shows as an exit: see `running`.
      child.on('error', () => {});
      return new Daemon(options.name, child, options.log);
    } finally {
      closeSync(log);
    }
  }

  get running(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves at the first thing that a talking process says. @throws {TestbedError} see {@link until} */
  async ready(): Promise<void> {
    let spoke = false;
    this.child.stdout?.once('data', () => {
      spoke = true;
    });
    await this.until('to be ready', () => spoke);
  }

  /**
   * Waits until `probe` says that it has started.
   * @param what of it: `to answer`
   * @throws {TestbedError} when it ends before, or takes more than {@link START_MS}
   */
  until(what: string, probe: () => Promise<boolean> | boolean): Promise<void> {
    return Daemon.allUntil([this], `${this.name} ${what}`, probe);
  }

  /** The same for several that start together, and of which none may end. */
  static allUntil(
    daemons: readonly Daemon[],
    what: string,
    probe: () => Promise<boolean> | boolean,
  ): Promise<void> {
    return waitUntil(
      what,
      () => {
        const dead = daemons.find(({ running }) => !running);
        if (dead !== undefined) throw dead.failure();
        return probe();
      },
      START_MS,
    );
  }

  /** Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.running) return;
    const exit = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await exit;
  }

  /** What to tell when it ended although nobody asked it to. */
  failure(): TestbedError {
    const how = this.child.signalCode ?? `exit code ${this.child.exitCode}`;
    const words = readFileSync(this.log, 'utf8').trim().split('\n').slice(-LOG_LINES).join('\n');
    return new TestbedError(`${this.name} ended (${how})${words === '' ? '' : `:\n${words}`}`);
  }
}
