import { join } from 'node:path';
import { Daemon } from './daemon.js';
import { TestbedError } from './errors.js';
import { PROCESS_ENTRY } from './locations.js';
import { type RunResult, runScript } from './run.js';

/** A server or a client of the data center: its namespace, and what runs there beside the node. */
export class Site {
  private readonly daemons = new Map<string, Daemon>();

  constructor(
    /** From 1. */
    readonly number: number,
    /** Also the name of the namespace. */
    readonly name: string,
    private readonly directory: string,
  ) {}

  /** A path for a file of this site alone; its directory is there, and is gone with the enclosure. */
  file(name: string): string {
    return join(this.directory, this.name, name);
  }

  /**
   * Starts a process that stays. One that has ended gives way to the next of its name.
   * @param what names it, among those of this site
   * @param talks its standard input and output are wanted; otherwise its output goes to its log
   */
  start(what: string, command: readonly string[], { talks = false } = {}): Daemon {
    if (this.daemons.get(what)?.running) throw new TestbedError(`${what} of ${this.name} runs already`);
    const daemon = Daemon.start({
      name: `${what} of ${this.name}`,
      namespace: this.name,
      command,
      log: this.file(`${what}.log`),
      talks,
    });
    this.daemons.set(what, daemon);
    return daemon;
  }

  /** Starts one of the testbed's own processes (see process.ts), which talks. */
  startRole(what: string, role: string, ...args: readonly string[]): Daemon {
    return this.start(what, [process.execPath, PROCESS_ENTRY, role, ...args], { talks: true });
  }

  /** Runs a shell script here to its end. @throws {TestbedError} at the first command that fails */
  script(script: string): Promise<RunResult> {
    return runScript(this.name, script);
  }
}

/** All of them. */
export interface Sites {
  readonly servers: readonly Site[];
  readonly clients: readonly Site[];
}
