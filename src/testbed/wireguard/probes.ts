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
  return new Map([...answers].filter(([, answer]) => answer !== ''));
}

/** Clients whose tunnel answers a ping within so many seconds. */
export async function whoIsReached(
  clients: readonly number[],
  family: Family,
  seconds: number,
): Promise<number[]> {
  const answers = await askAll(clients, [
    ...['ping', '-n', '-c', '1', '-w', String(seconds)],
    TUNNEL_SERVER[family],
  ]);
  return [...answers].filter(([, answer]) => answer.includes('1 received')).map(([client]) => client);
}

/** Runs a command in the namespace of every client at the same time. @returns what it printed, by client */
async function askAll(
  clients: readonly number[],
  command: readonly string[],
): Promise<ReadonlyMap<number, string>> {
  const asked = clients.map((client) => {
    const [program, args] = inNamespace(clientName(client), command);
    return `printf '%s %s\\n' ${client} "$(${[program, ...args].join(' ')} 2>/dev/null | tr '\\n' ' ')" &\n`;
  });
  // One shell for all: a process of ours for each would take longer than the answers.
  const { stdout } = await run('sh', [], `${asked.join('')}wait\n`);
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const space = line.indexOf(' ');
        return [Number(line.slice(0, space)), line.slice(space + 1).trim()];
      }),
  );
}
