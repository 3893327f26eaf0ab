import { clientName, type Family } from '../addresses.js';
import { inNamespace, run } from '../run.js';
import { TUNNEL_SERVER } from './plan.js';

/** Questions through many tunnels at once, by stock programs. */

/**
 * Who answers HTTP in each client's tunnel.
 * @param seconds how long to wait for an answer
 * @returns the server's name per client; clients without an answer are not in it
 */
export async function whoAnswers(
  clients: readonly number[],
  family: Family,
  seconds: number,
): Promise<ReadonlyMap<number, string>> {
  const host = family === 4 ? TUNNEL_SERVER[4] : `[${TUNNEL_SERVER[6]}]`;
  const answers = await askAll(clients, [
    ...['curl', '--silent', '--globoff', '--max-time', String(seconds)],
    `http://${host}/`,
  ]);
  return new Map(answers);
}

/** Clients whose tunnel answers a ping within so many (whole) seconds. */
export async function whoIsReached(
  clients: readonly number[],
  family: Family,
  seconds: number,
): Promise<number[]> {
  const answers = await askAll(clients, [
    ...['ping', '-n', '-q', '-i', '0.2', '-c', '1', '-w', String(seconds)],
    TUNNEL_SERVER[family],
  ]);
  return answers.map(([client]) => client);
}

/**
 * Runs a command in the namespace of every client at the same time.
 * @returns for each client where it succeeded, the first line that it printed
 */
async function askAll(clients: readonly number[], command: readonly string[]): Promise<[number, string][]> {
  const asked = clients.map((client) => {
    const [program, args] = inNamespace(clientName(client), command);
    const line = [program, ...args].map((word) => `'${word}'`).join(' ');
    return `(answer=$(${line} 2>/dev/null) && echo "client ${client} $answer") &\n`;
  });
  // One shell for all: a process of ours for each would take longer than the answers.
  const { stdout } = await run('sh', [], `${asked.join('')}wait\n`);
  return [...stdout.matchAll(/^client (\d+) (.*)$/gm)].map(([, client, answer]) => [Number(client), answer]);
}
