import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { DataCenterSpec } from './data-center.js';
import { Enclosure, enclosureFailure, killHard } from './enclosure.js';
import { TestbedError } from './errors.js';
import type { HolderMessage } from './holder.js';
import { environment, requireMeans, TESTBED_TOOLS } from './requirements.js';
import {
  alreadyUp,
  checkName,
  isAlive,
  namespacesOf,
  readState,
  removeState,
  stateOf,
  type TestbedState,
  writeState,
} from './state.js';
import { waitUntil } from './wait.js';

/** Data centers seen from outside: up, enter, down. */

export interface RunningDataCenter {
  readonly state: TestbedState;
  readonly enclosure: Enclosure;
}

/**
 * Brings a data center up and registers it under its name.
 * @param foreground it dies with this process; otherwise it lives on once the caller has released the enclosure
 * @throws {TestbedError}
 */
export async function bringUp(
  name: string,
  spec: DataCenterSpec,
  foreground: boolean,
): Promise<RunningDataCenter> {
  checkName(name);
  requireMeans({ tools: TESTBED_TOOLS, tun: spec.loadBalancer !== null });
  if (readState(name) !== undefined) throw alreadyUp(name);

  const { promise: first, resolve: gotFirst } = promised<HolderMessage>();
  const enclosure = Enclosure.start({
    role: 'holder',
    spec,
    mayOutliveUs: !foreground,
    onMessage: (message) => gotFirst(message as HolderMessage),
  });
  const message = await Promise.race([first, enclosure.ended]);
  try {
    if (message === undefined) throw enclosureFailure(enclosure);
    if ('failed' in message) throw new TestbedError(message.failed);
    return { state: register(name, spec, enclosure), enclosure };
  } catch (error) {
    await enclosure.stop();
    throw error;
  }
}

/** Writes the state file of a data center that runs in `enclosure`. @throws {TestbedError} when the name is taken */
export function register(name: string, spec: DataCenterSpec, enclosure: Enclosure): TestbedState {
  const pid = enclosure.initPid;
  if (pid === undefined) throw enclosureFailure(enclosure);
  const state = stateOf(pid, {
    name,
    servers: spec.servers,
    clients: spec.clients,
    access: spec.access ?? [],
    loadBalancer: spec.loadBalancer !== null,
  });
  writeState(state);
  return state;
}

/** Ends a data center and everything in it; resolves when it is gone. @throws {TestbedError} when it is not up */
export async function takeDown(name: string): Promise<void> {
  requireMeans({ tools: [], tun: false });
  const state = requireState(name);
  killHard(state.pid);
  await waitUntil(`the processes of "${name}" to end`, () => !isAlive(state));
  removeState(name);
}

/**
 * Runs a command in a namespace of a data center, on this process's terminal, in this working directory.
 * @returns its exit code; 128 + n when signal n ended it, as shells do
 * @throws {TestbedError} when there is no such data center or namespace
 */
export async function execute(name: string, namespace: string, command: readonly string[]): Promise<number> {
  requireMeans({ tools: ['nsenter', 'ip'], tun: false });
  const state = requireState(name);
  const known = namespacesOf(state);
  if (!known.includes(namespace)) {
    throw new TestbedError(`no namespace "${namespace}" in "${name}": there are ${known.join(', ')}`);
  }
  const args = [
    ...['--target', String(state.pid), '--mount', '--net', '--pid', '--'],
    // `ip netns exec` gives /sys of the namespace too; the shell brings back the working directory.
    ...['ip', 'netns', 'exec', namespace],
    ...['sh', '-c', 'cd "$1" 2>/dev/null; shift; exec "$@"', 'sh', process.cwd(), ...command],
  ];
  // Ctrl-C at the terminal is for the command; it decides what becomes of us.
  const ignore = (): void => {};
  process.on('SIGINT', ignore).on('SIGQUIT', ignore);
  const child = spawn('nsenter', args, {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: environment(),
  });
  const commandGone = new Promise<void>((resolve) => child.stdio[3]?.once('close', resolve));
  try {
    const { code, signal } = await exitOf(child);
    // nsenter dies of Ctrl-C at once; the command may still have something to say, and holds the pipe while it does.
    if (signal === 'SIGINT' || signal === 'SIGQUIT') await commandGone;
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } finally {
    child.stdio[3]?.destroy();
    process.off('SIGINT', ignore).off('SIGQUIT', ignore);
  }
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new TestbedError(`nsenter: ${error.message}`)));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

function requireState(name: string): TestbedState {
  const state = readState(name);
  if (state === undefined) {
    throw new TestbedError(
      `no data center "${name}" is up: \`twohop testbed up --name ${name}\` starts one, \`twohop testbed list\` shows all`,
    );
  }
  return state;
}

function promised<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
