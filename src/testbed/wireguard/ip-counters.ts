import type { Family } from '../addresses.js';
import { runScript } from '../run.js';

/** What the kernel of one namespace did with datagrams too big for a link, since its beginning. */
export interface FragmentCounts {
  /** Fragments that it made. */
  readonly made: number;
  /** Datagrams that it put together again. */
  readonly reassembled: number;
}

export async function fragmentCounts(namespace: string, family: Family): Promise<FragmentCounts> {
  const { stdout } = await runScript(namespace, 'cat /proc/self/net/snmp /proc/self/net/snmp6');
  const counters = family === 4 ? ipv4Counters(stdout) : ipv6Counters(stdout);
  return { made: counters.get('FragCreates') ?? 0, reassembled: counters.get('ReasmOKs') ?? 0 };
}

/** Two lines: `Ip: NAME ...` and `Ip: VALUE ...`. */
function ipv4Counters(text: string): ReadonlyMap<string, number> {
  const [names = [], values = []] = [...text.matchAll(/^Ip: (.*)$/gm)].map(([, line]) => line.split(' '));
  return new Map(names.map((name, index) => [name, Number(values[index])]));
}

/** A line each: `Ip6NAME VALUE`. */
function ipv6Counters(text: string): ReadonlyMap<string, number> {
  return new Map([...text.matchAll(/^Ip6(\w+)\s+(\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}
