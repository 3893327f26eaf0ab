import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Prefix } from '../../table/address.js';
import type { RouteAnnouncer, RouteState } from './announcer.js';
import { type BirdConfig, birdConfigText } from './bird-config.js';

const run = promisify(execFile);

/** A daemon that was just started listens on its control socket after this many looks at the latest. */
const START_MS = 5000;
const LOOK_MS = 20;
/** Between two looks at the session: while it is being set up, and later. */
const SOON_MS = 300;
const SELDOM_MS = 3000;
/** Before a BIRD that ended by itself is started again. */
const RESTART_MS = 1000;

/** The routes cannot be announced as the configuration asks for it. */
export class RouteError extends Error {
  override readonly name = 'RouteError';
}

export interface BirdOptions {
  readonly config: BirdConfig;
  /** Name of the server. */
  readonly name: string;
  readonly dip: string;
  readonly interface: string;
  /** For the configuration and the control socket. */
  readonly directory: string;
  log(level: 'info' | 'warn', message: string): void;
  /** {@link Bird.state} is another. */
  changed(): void;
}

/**
 * Announces routes over BGP, by a BIRD 2 of the node's own: a child process that ends with the node however the node
 * ends, and whose session then takes the routes along.
 */
export class Bird implements RouteAnnouncer {
  private child: ChildProcess | null = null;
  private prefixes: readonly Prefix[] = [];
  private announced: RouteState = 'withdrawn';
  private neighbor = '';
  private nextHop6: string | null = null;
  private stopping = false;
  private timer: NodeJS.Timeout | null = null;
  private turn: Promise<void> = Promise.resolve();
  private readonly configFile: string;
  private readonly socket: string;

  constructor(private readonly options: BirdOptions) {
    const { directory, name } = options;
    this.configFile = join(directory, `${name}.bird.conf`);
    this.socket = join(directory, `${name}.bird.ctl`);
  }

  get state(): RouteState {
    return this.announced;
  }

  get drainMs(): number {
    return this.options.config.drain_seconds * 1000;
  }

  async start(): Promise<void> {
    const { config } = this.options;
    await refuseWithoutBird();
    this.neighbor = config.neighbor === 'gateway' ? await defaultGateway() : config.neighbor;
    this.nextHop6 = config.next_hop6 ?? globalAddress6(this.options.interface);
    await mkdir(this.options.directory, { recursive: true });
    await this.launch();
    this.lookLater();
  }

  announce(prefixes: readonly Prefix[]): Promise<void> {
    return this.inTurn(async () => {
      this.prefixes = prefixes;
      if (this.child === null) return;
      try {
        this.writeConfig();
        await this.ask('configure');
        await this.untilExported(prefixes.length > 0);
      } catch (error) {
        const { message } = error as Error;
        this.options.log('warn', `routes could not be changed, BIRD is restarted: ${message}`);
        // Without it there are no routes: what could not be withdrawn is withdrawn so.
        await this.end();
        this.become('withdrawn');
        await this.launch().catch((problem: Error) => this.options.log('warn', problem.message));
      }
    });
  }

  stop(): Promise<void> {
    this.stopping = true;
    if (this.timer !== null) clearTimeout(this.timer);
    return this.inTurn(async () => {
      await this.end();
      for (const path of [this.configFile, this.socket]) rmSync(path, { force: true });
      this.become('withdrawn');
    });
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(work, work);
    return this.turn;
  }

  private become(state: RouteState): void {
    if (this.announced === state) return;
    this.announced = state;
    this.options.changed();
  }

  private async launch(): Promise<void> {
    if (this.stopping) return;
    this.writeConfig();
    rmSync(this.socket, { force: true });
    // -f: in the foreground, our child; killed by the kernel when we die, whatever we die of.
    const bird = ['bird', '-f', '-c', this.configFile, '-s', this.socket];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...bird], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.on('error', (error) => this.options.log('warn', `bird: ${error.message}`));
    const said: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      // Its last words when it was asked to end are no news.
      if (this.child !== child) return;
      said.push(line);
      this.options.log('warn', `bird: ${line}`);
    });
    this.child = child;
    child.once('close', (code, signal) => this.ended(child, signal ?? `exit code ${code}`));
    for (const deadline = performance.now() + START_MS; ; await sleep(LOOK_MS)) {
      if (this.child !== child) {
        throw new RouteError(`bird ended at once: ${said.at(-1) ?? 'without a word'} (${this.configFile})`);
      }
      if (await this.ask('show status').then(Boolean, () => false)) break;
      if (performance.now() > deadline) {
        await this.end();
        throw new RouteError(`bird does not answer on ${this.socket}: ${said.at(-1) ?? 'it said nothing'}`);
      }
    }
  }

  /** It ended by itself: the session is gone, and the routes with it. */
  private ended(child: ChildProcess, how: string): void {
    if (this.child !== child) return;
    this.child = null;
    this.become('withdrawn');
    if (this.stopping) return;
    this.options.log('warn', `bird ended (${how}): no routes are announced; starting it again`);
    const again = () => {
      void this.inTurn(async () => {
        if (this.child !== null) return;
        await this.launch().catch((error: Error) => this.options.log('warn', error.message));
      });
    };
    setTimeout(again, RESTART_MS).unref();
  }

  private async end(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 1000);
    await gone;
    clearTimeout(hard);
  }

  private writeConfig(): void {
    const { config, dip } = this.options;
    const { neighbor, nextHop6, prefixes } = this;
    writeFileSync(this.configFile, birdConfigText(config, { address: dip, neighbor, nextHop6, prefixes }));
  }

  /** Until the session, where there is one, has told the router. */
  private async untilExported(some: boolean): Promise<void> {
    for (const deadline = performance.now() + START_MS; performance.now() < deadline; await sleep(LOOK_MS)) {
      const exported = await this.look();
      if (exported === null || exported > 0 === some) return;
    }
  }

  /**
   * What the router has of us.
   * @returns number of routes, or null without a session: then it has none
   */
  private async look(): Promise<number | null> {
    const counts = [...(await this.ask('show protocols all fabric')).matchAll(/(\d+) exported/g)];
    const exported = counts.reduce((sum, [, count]) => sum + Number(count), 0);
    this.become(exported > 0 ? 'announced' : 'withdrawn');
    return counts.length === 0 ? null : exported;
  }

  /** Sessions come and go by themselves: looks often while the routes should be there and are not. */
  private lookLater(): void {
    const waiting = this.prefixes.length > 0 && this.announced !== 'announced';
    this.timer = setTimeout(
      () => {
        void this.inTurn(async () => {
          if (this.child !== null) await this.look().catch(() => {});
        }).then(() => {
          if (!this.stopping) this.lookLater();
        });
      },
      waiting ? SOON_MS : SELDOM_MS,
    );
    this.timer.unref();
  }

  /** @throws Error with BIRD's own words when it refuses */
  private async ask(command: string): Promise<string> {
    const { stdout } = await run('birdc', ['-v', '-s', this.socket, ...command.split(' ')], {
      timeout: START_MS,
    });
    // Reply codes: 8 and 9 at the front are errors of the daemon and of the parser.
    const refusal = /^[89]\d{3}[ -](.*)$/m.exec(stdout);
    if (refusal !== null) throw new RouteError(`bird: ${command}: ${refusal[1]}`);
    return stdout;
  }
}

async function refuseWithoutBird(): Promise<void> {
  for (const [command, packageName] of [
    ['bird', 'bird2'],
    ['birdc', 'bird2'],
    ['setpriv', 'util-linux'],
  ]) {
    await run(command, ['--version']).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') return;
      throw new RouteError(
        `${command} is missing: apt-get install ${packageName} (needed for node.routes.bird; without it, take that section out)`,
      );
    });
  }
}

/** @throws RouteError */
async function defaultGateway(): Promise<string> {
  const { stdout } = await run('ip', ['-4', 'route', 'show', 'default']);
  const gateway = /^default via (\S+)/m.exec(stdout)?.[1];
  if (gateway !== undefined) return gateway;
  throw new RouteError(
    'there is no IPv4 default route whose gateway could be the BGP neighbor: name it in node.routes.bird.neighbor',
  );
}

function globalAddress6(device: string): string | null {
  const addresses = networkInterfaces()[device] ?? [];
  return addresses.find(({ family, scopeid }) => family === 'IPv6' && scopeid === 0)?.address ?? null;
}
