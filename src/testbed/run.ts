import { spawn } from 'node:child_process';
import { TestbedError } from './errors.js';

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end.
 * @param input written to its standard input
 * @throws {TestbedError} with the command's own words when it fails
 */
export function run(command: string, args: readonly string[], input = ''): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) => reject(new TestbedError(`${command}: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve({ stdout, stderr });
      else {
        const words = stderr.trim() || stdout.trim() || `exit ${code ?? signal}`;
        reject(new TestbedError(`${command} ${args.join(' ')}: ${words}`));
      }
    });
    // A command that ends without reading its input is judged by its exit code, not by our broken pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Where `ip netns` keeps its handles; the enclosure has its own /run, so these never meet the host's. */
export const NETNS_DIRECTORY = '/run/netns';

/** The command line that runs `command` in a network namespace of this data center; it execs, so pids are kept. */
export function inNamespace(namespace: string, command: readonly string[]): [string, string[]] {
  return ['nsenter', [`--net=${NETNS_DIRECTORY}/${namespace}`, '--', ...command]];
}

/** Runs a shell script in a network namespace; it stops at the first command that fails. */
export async function runScript(namespace: string, script: string): Promise<RunResult> {
  const [command, args] = inNamespace(namespace, ['sh', '-e']);
  return run(command, args, script);
}
