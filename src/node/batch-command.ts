import { spawn } from 'node:child_process';
import { shellLine } from './network-setup.js';

/** One line of a batch that did not do its work. */
export interface FailedLine {
  /** Of the lines given, from 0. */
  readonly index: number;
  readonly reason: string;
}

/**
 * Runs `ip -batch` or `tc -batch`: one process for thousands of lines. Those that fail do not keep the others back.
 * @throws Error when the command itself cannot be run
 */
export function runBatch(command: readonly string[], lines: readonly string[]): Promise<FailedLine[]> {
  if (lines.length === 0) return Promise.resolve([]);
  const [program, ...options] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...options, '-force', '-batch', '-'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', reject);
    // A command that ends early says why on its standard error.
    child.stdin.on('error', () => {});
    child.once('close', (code) => {
      const failed = parseFailures(said);
      if (code !== 0 && failed.length === 0) reject(new Error(`${shellLine(command)}: ${said.trim()}`));
      else resolve(failed);
    });
    child.stdin.end(`${lines.join('\n')}\n`);
  });
}

/** `RTNETLINK answers: File exists`, perhaps more, and then `Command failed -:17`. */
function parseFailures(text: string): FailedLine[] {
  const failed: FailedLine[] = [];
  let reason = '';
  for (const line of text.split('\n')) {
    const number = /^Command failed .*:(\d+)$/.exec(line)?.[1];
    if (number !== undefined) {
      failed.push({ index: Number(number) - 1, reason });
      reason = '';
    } else if (reason === '') {
      reason = line.trim();
    }
  }
  return failed;
}
