import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessName, clientName, ROUTER, serverName } from './addresses.js';
import { TestbedError } from './errors.js';

/**
 * Which data centers are up: one small file each, on the host's side. A file names the process that holds the
 * namespaces (their pid 1) by pid and start time, so that a pid used again is not mistaken for it.
 */
export interface TestbedState {
  readonly name: string;
  /** As the host sees it. */
  readonly pid: number;
  /** Clock ticks since boot: field 22 of /proc/PID/stat. */
  readonly startTime: string;
  readonly servers: number;
  readonly clients: number;
  readonly access: readonly number[];
  readonly loadBalancer: boolean;
  /** ISO 8601. */
  readonly since: string;
}

export const DEFAULT_NAME = 'default';
const STATE_DIRECTORY = '/run/twohop/testbed';

/** @throws {TestbedError} */
export function checkName(name: string): void {
  if (!/^[a-z0-9-]{1,32}$/.test(name)) {
    throw new TestbedError(`name ${JSON.stringify(name)}: use 1 to 32 of a-z, 0-9 and "-"`);
  }
}

/** The state for a data center held by this process. @throws {TestbedError} when there is no such process */
export function stateOf(pid: number, rest: Omit<TestbedState, 'pid' | 'startTime' | 'since'>): TestbedState {
  const startTime = processOf(pid)?.startTime;
  if (startTime === undefined) throw new TestbedError(`process ${pid} is gone`);
  return { ...rest, pid, startTime, since: new Date().toISOString() };
}

/** @throws {TestbedError} when the name is taken */
export function writeState(state: TestbedState): void {
  mkdirSync(STATE_DIRECTORY, { recursive: true });
  const draft = join(STATE_DIRECTORY, `.${state.name}.${process.pid}`);
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`);
  try {
    // A link is refused where the name exists: of two who start the same name, one wins.
    linkSync(draft, fileOf(state.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyUp(state.name);
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

export function removeState(name: string): void {
  try {
    rmSync(fileOf(name), { force: true });
  } catch (error) {
    // Who may only look leaves the file for the next who may do more; it is not believed in either way.
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

/** The data center of this name; undefined when it is not up. A stale file is removed. */
export function readState(name: string): TestbedState | undefined {
  checkName(name);
  if (!existsSync(fileOf(name))) return undefined;
  const state = parseState(name);
  if (state !== undefined && isAlive(state)) return state;
  removeState(name);
  return undefined;
}

/** All of them. @returns those that are up, and the names of those that had died, whose files are now removed */
export function listStates(): { readonly up: TestbedState[]; readonly stale: string[] } {
  const up: TestbedState[] = [];
  const stale: string[] = [];
  if (!existsSync(STATE_DIRECTORY)) return { up, stale };
  for (const file of readdirSync(STATE_DIRECTORY).sort()) {
    const name = /^([a-z0-9-]+)\.json$/.exec(file)?.[1];
    if (name === undefined) continue;
    const state = readState(name);
    if (state === undefined) stale.push(name);
    else up.push(state);
  }
  return { up, stale };
}

/** A dead pid 1 that nobody has collected yet counts as gone: its namespace is empty by then. */
export function isAlive(state: Pick<TestbedState, 'pid' | 'startTime'>): boolean {
  const found = processOf(state.pid);
  return found !== undefined && found.startTime === state.startTime && found.state !== 'Z';
}

export function namespacesOf(state: Pick<TestbedState, 'servers' | 'clients' | 'access'>): string[] {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
  return [
    ROUTER,
    ...upTo(state.servers).map(serverName),
    ...upTo(state.clients).map(clientName),
    ...state.access.map(accessName),
  ];
}

export function alreadyUp(name: string): TestbedError {
  return new TestbedError(
    `a data center "${name}" is up already: take it down with \`twohop testbed down --name ${name}\`, or give another --name`,
  );
}

const fileOf = (name: string): string => join(STATE_DIRECTORY, `${name}.json`);

function parseState(name: string): TestbedState | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(name), 'utf8')) as TestbedState;
  } catch {
    return undefined;
  }
}

function processOf(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything; count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0], startTime: fields[19] };
  } catch {
    return undefined;
  }
}
