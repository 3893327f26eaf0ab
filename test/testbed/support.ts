import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect } from 'vitest';
import type { ScenarioResult } from '../../src/testbed/scenarios/scenario.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** In the environment of a `twohop` that a test starts, with a value of its own: it is handed on to all descendants. */
const MARK = 'TWOHOP_TEST';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** All it has said so far. */
  printed(): string;
  /** The processes that come from it and are there now, itself included: whoever else is on the machine is not. */
  processes(): number[];
}

const running = new Set<Running>();

/** A test that ran out of time has left its `twohop` running, which would go on beside the next test. */
afterEach(async () => {
  await Promise.all(
    [...running].map(async ({ child, ended, processes }) => {
      killGroup(child.pid);
      await ended;
      await until(() => processes().length === 0);
    }),
  );
});

/** Starts `twohop ARGS`; its own process group, as if from a shell. It is ended after the test at the latest. */
export function startTwohop(...args: string[]) {
  const mark = randomUUID();
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, [MARK]: mark },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      running.delete(started);
      resolve({ code, stdout, stderr });
    });
  });
  const started = {
    child,
    ended,
    printed: () => stdout + stderr,
    processes: () => processesMarked(mark),
  } satisfies Running;
  running.add(started);
  return started;
}

/** Runs `twohop ARGS` to its end, with `input` on its standard input. */
export function twohop(args: readonly string[], input = ''): Promise<Ended> {
  const { child, ended } = startTwohop(...args);
  child.stdin.end(input);
  return ended;
}

/**
 * Runs a demonstration to its end: every step of these names is there, in order, and held; and nothing is left.
 * @returns what each step counted, by its name
 */
export async function demoSteps(
  suite: string,
  servers: number,
  names: readonly string[],
  ...args: string[]
): Promise<Record<string, ScenarioResult['figures']>> {
  const demo = startTwohop('demo', suite, '--json', '--servers', String(servers), ...args);
  demo.child.stdin.end();
  await until(() => demo.printed().includes('Data center up') || demo.child.exitCode !== null);
  // A node on every server, at least: the check at the end finds what comes from this demonstration.
  expect(demo.processes().length, demo.printed()).toBeGreaterThan(servers);

  const { code, stdout, stderr } = await demo.ended;
  expect(stdout, stderr).not.toBe('');
  const report = JSON.parse(stdout) as Report;
  expect(report.steps.flatMap(({ name, reasons }) => reasons.map((reason) => `${name}: ${reason}`))).toEqual(
    [],
  );
  expect(report.steps.map(({ name }) => name)).toEqual(names);
  expect(report).toMatchObject({ held: true, notRun: [] });
  expect(code, stderr).toBe(0);
  // Plain lines in a pipe: no cursor movements, one line per step.
  expect(stderr.trim().split('\n').length).toBe(names.length + 1);
  expect(demo.processes()).toEqual([]);
  return Object.fromEntries(report.steps.map(({ name, figures }) => [name, figures]));
}

/** Node settings, as arguments, with which every demonstration has to hold: the plainest and the most elaborate. */
export const SETTINGS = [
  ['--offload', 'off', '--workers', '1'],
  ['--offload', 'auto', '--workers', '2'],
] as const;

/** What `twohop demo --json` prints. */
interface Report {
  readonly held: boolean;
  readonly steps: readonly ScenarioResult[];
  readonly notRun: readonly string[];
}

/** Polls; no clock decides the outcome, only the test's own time limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const KINDS = ['mnt', 'net', 'pid'] as const;

/** `net:[4026532201]` and the like of one process; empty when it is gone. */
export function namespacesOf(pid: number | 'self'): string[] {
  return KINDS.flatMap((kind) => {
    try {
      return [readlinkSync(`/proc/${pid}/ns/${kind}`)];
    } catch {
      return [];
    }
  });
}

/** All processes that are in one of these namespaces. */
export function processesIn(namespaces: ReadonlySet<string>): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => namespacesOf(pid).some((namespace) => namespaces.has(namespace)));
}

/** Everything that the data center held by `pid` has, and the host does not. */
export function footprint(pid: number): { namespaces: Set<string>; processes: number[] } {
  const own = new Set(namespacesOf('self'));
  const inside = new Set(namespacesOf(pid).filter((namespace) => !own.has(namespace)));
  const processes = processesIn(inside);
  const namespaces = new Set(processes.flatMap(namespacesOf).filter((namespace) => !own.has(namespace)));
  return { namespaces, processes };
}

export function mountsOfThisProcess(): string {
  return readFileSync('/proc/self/mountinfo', 'utf8');
}

/** The parent of a process. */
export function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Processes in whose environment the mark has this value. */
function processesMarked(value: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${MARK}=${value}`);
      } catch {
        // It is gone, or another user's.
        return false;
      }
    });
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
