import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { TestbedError } from './errors.js';
import { readJsonLines, writeJsonLine } from './json-lines.js';
import { PROCESS_ENTRY } from './locations.js';
import { environment } from './requirements.js';

/**
 * Private mount, network and pid namespaces for a data center, made so that nothing outlives them, however
 * anybody dies:
 *
 * - everything inside is a descendant of the namespace's pid 1; when pid 1 ends, the kernel ends the rest, and with
 *   the last process go network namespaces, interfaces and mounts;
 * - pid 1 is a shell that waits for the process inside (and, being a shell, reaps every orphan: Node would only
 *   reap its own children);
 * - `unshare` takes pid 1 with it when it is killed, and `setpriv` has `unshare` killed when we die;
 * - an enclosure that may outlive us (`testbed up` in the background) has no such tie, but a lifeline: its standard
 *   input. It ends when the lifeline does, unless it was released before.
 *
 * The outside and the inside talk over pipes, one JSON value per line. /run is empty inside, so `ip netns` and the
 * nodes' sockets cannot meet the host's or those of another data center.
 */
export interface EnclosureOptions {
  /** The role (see process.ts) that runs inside. */
  readonly role: string;
  /** Handed to the role as JSON. */
  readonly spec: unknown;
  /** It can be released, and then lives on without us. */
  readonly mayOutliveUs: boolean;
  readonly onMessage: (message: unknown) => void;
}

export class Enclosure {
  private stderr = '';
  /** Resolves when everything inside is gone. Never rejects. */
  readonly ended: Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    onMessage: (message: unknown) => void,
  ) {
    this.ended = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', (error) => {
        this.stderr += error.message;
        resolve();
      });
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-4096);
    });
    // A dead inside shows in `ended`; writing to it is not a second error.
    child.stdin?.on('error', () => {});
    if (child.stdout !== null) readJsonLines(child.stdout, onMessage);
  }

  static start(options: EnclosureOptions): Enclosure {
    const tie = options.mayOutliveUs ? [] : ['setpriv', '--pdeathsig', 'KILL'];
    const [command, ...args] = [
      ...tie,
      ...['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'],
      ...['--propagation', 'private', '--', 'sh', '-c', PID_1, 'sh'],
      ...[process.execPath, PROCESS_ENTRY, options.role, JSON.stringify(options.spec)],
    ];
    // Its own session: Ctrl-C at the terminal reaches us alone, and we end it in one stroke.
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: environment(),
    });
    return new Enclosure(child, options.onMessage);
  }

  /** Of the process that ends with everything inside; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** The last words of whatever failed inside. */
  get lastWords(): string {
    return this.stderr.trim();
  }

  /** The host's pid of the namespace's pid 1; undefined before it is there and after it is gone. */
  get initPid(): number | undefined {
    return firstChildOf(this.child.pid);
  }

  send(message: unknown): void {
    if (this.child.stdin !== null) writeJsonLine(this.child.stdin, message);
  }

  /** Lets it live on without us; our process can end. */
  release(): void {
    this.send(RELEASE);
    this.child.stdin?.end();
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
    this.child.unref();
  }

  /** Ends everything inside; resolves when it is gone. */
  async stop(): Promise<void> {
    const pid = this.initPid;
    // pid 1 is only reaped when all its namespace is dead, so that `ended` then means what it says.
    if (pid !== undefined) killHard(pid);
    else if (this.child.exitCode === null) this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** What the outside says before it lets go of its end of the lifeline. */
const RELEASE = 'release';

/**
 * The inside's end: hands messages to `onMessage`, and ends the process (and with it the namespace) when the outside
 * has gone without a release.
 */
export function attachLifeline(onMessage: (message: unknown) => void = () => {}): void {
  let released = false;
  const ignoreBrokenPipe = (): void => {};
  process.stdout.on('error', ignoreBrokenPipe);
  process.stderr.on('error', ignoreBrokenPipe);
  readJsonLines(
    process.stdin,
    (message) => {
      if (message === RELEASE) released = true;
      else onMessage(message);
    },
    () => {
      if (!released) process.exit(1);
    },
  );
}

/**
 * A shell in the background keeps standard input for itself unless it is handed over; `wait` reaps every child that
 * ends, known or orphaned.
 */
const PID_1 = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec 3<&0 && { "$@" <&3 3<&- & wait "$!"; }';

function firstChildOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return first === '' ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

export function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Explains an enclosure that ended before it was ready. */
export function enclosureFailure(enclosure: Enclosure): TestbedError {
  const words = enclosure.lastWords || 'it ended without a word';
  const hint = /unshare|mount|Operation not permitted/.test(words)
    ? '\nNamespaces may be forbidden here: a container needs CAP_SYS_ADMIN and a seccomp profile that allows unshare.'
    : '';
  return new TestbedError(`the data center did not come up: ${words}${hint}`);
}
