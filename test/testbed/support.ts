import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `twohop ARGS`; its own process group, as if from a shell. */
export function startTwohop(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended, printed: () => stdout + stderr };
}

/** Runs `twohop ARGS` to its end, with `input` on its standard input. */
export function twohop(args: readonly string[], input = ''): Promise<Ended> {
  const { child, ended } = startTwohop(...args);
  child.stdin.end(input);
  return ended;
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

/** Processes with this text in their command line. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}
