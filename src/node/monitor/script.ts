import { type ChildProcess, spawn } from 'node:child_process';
import type { MonitorConfig } from '../../table/control.js';
import { CannotCheck, type Check, type CheckTarget, noAnswer, type Outcome } from './check.js';

type ScriptMonitor = Extract<MonitorConfig, { type: 'script' }>;

/** Of what the command says, this much is kept. */
const MOST_OUTPUT = 4096;
/** Of what it says, the first line is told, up to this many characters. */
const MOST_TOLD = 200;

/**
 * Up when a command ends in time with exit code 0. It runs without a shell, in a process group of its own, which is
 * killed when it ends or its time is over: what it started and left behind ends with it.
 */
export function scriptCheck(monitor: Pick<ScriptMonitor, 'command' | 'timeout_seconds'>): Check {
  return (target, stop) =>
    new Promise<Outcome>((resolve, reject) => {
      const [program, ...args] = monitor.command.map((word) => fill(word, target));
      const started = performance.now();
      const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
      const said = collect(child);
      let ended: Outcome | null = null;
      const timer = setTimeout(
        () => finish(() => resolve(ended ?? noAnswer(monitor.timeout_seconds))),
        1000 * monitor.timeout_seconds,
      );
      const stopped = () => finish(() => resolve({ up: false, why: 'stopped' }));
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        stop.removeEventListener('abort', stopped);
        killGroup(child);
        child.stdout.destroy();
        child.stderr.destroy();
        settle();
      };
      stop.addEventListener('abort', stopped);
      if (stop.aborted) stopped();
      child.on('error', (error) =>
        finish(() => reject(new CannotCheck(`${program} cannot be run: ${error.message}`))),
      );
      child.once('exit', (code, signal) => {
        const latency = performance.now() - started;
        ended = code === 0 ? { up: true, latency } : { up: false, why: ending(code, signal) };
        // Whoever is left of the group holds the pipes open, and would hold up what comes now.
        killGroup(child);
      });
      // Everything it said has been read.
      child.once('close', () => {
        const line = said();
        const outcome = ended ?? noAnswer(monitor.timeout_seconds);
        const told = outcome.up || line === '' ? outcome : { ...outcome, why: `${outcome.why}: ${line}` };
        finish(() => resolve(told));
      });
    });
}

/** `{name}` and `{dip}` stand for the server; nothing else is replaced. */
function fill(word: string, { name, dip }: CheckTarget): string {
  return word.replace(/\{(name|dip)\}/g, (_, key: string) => (key === 'name' ? name : dip));
}

/** @returns a function that gives the first line of what it said, errors before the rest */
function collect(child: ChildProcess): () => string {
  const texts = ['', ''];
  for (const [index, stream] of [child.stderr, child.stdout].entries()) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      if (texts[index].length < MOST_OUTPUT) texts[index] = (texts[index] + text).slice(0, MOST_OUTPUT);
    });
  }
  return () => {
    const line = texts.map((text) => text.trim().split('\n', 1)[0]).find((text) => text !== '') ?? '';
    return line.length > MOST_TOLD ? `${line.slice(0, MOST_TOLD)}...` : line;
  };
}

function ending(code: number | null, signal: string | null): string {
  return signal === null ? `exit code ${code}` : `killed by ${signal}`;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}
