import type { Series } from '../../chart/chart.js';
import { clock } from '../work-load.js';
import type { ConductedServer } from './servers.js';

/** What the servers' services use of what they have, as the kernel counts it, from the moment it is begun. */
export class LoadCurve {
  private readonly readings: Reading[] = [];
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly servers: readonly ConductedServer[],
    private readonly windowSeconds: number,
  ) {
    this.read();
    this.timer = setInterval(() => this.read(), READ_MS);
  }

  /** @param windowSeconds a point of the curve is the mean over so long */
  static begin(servers: readonly ConductedServer[], windowSeconds: number): LoadCurve {
    return new LoadCurve(servers, windowSeconds);
  }

  end(): void {
    clearInterval(this.timer);
  }

  /** Since the beginning. */
  get seconds(): number {
    return this.readings[this.readings.length - 1].at - this.readings[0].at;
  }

  /** By server: load over the last so many seconds, 1 for all that it has. */
  loads(seconds: number): Map<string, number> {
    const last = this.readings.length - 1;
    return this.between(this.indexBefore(last, seconds), last);
  }

  /** In percent over seconds since the beginning, a line per server. */
  series(): Series[] {
    const first = this.readings.findIndex(({ at }) => at - this.readings[0].at >= this.windowSeconds);
    const points = this.readings.slice(Math.max(1, first)).map((reading, index) => {
      const to = Math.max(1, first) + index;
      const loads = this.between(this.indexBefore(to, this.windowSeconds), to);
      return { x: reading.at - this.readings[0].at, loads };
    });
    return this.servers.map(({ name }) => ({
      name,
      points: points.map(({ x, loads }) => [round(x), round(100 * (loads.get(name) ?? 0))] as const),
    }));
  }

  private read(): void {
    this.readings.push({ at: clock() / 1000, servers: this.servers.map((server) => server.cpu()) });
  }

  private indexBefore(to: number, seconds: number): number {
    let index = to;
    while (index > 0 && this.readings[to].at - this.readings[index].at < seconds) index--;
    return index;
  }

  private between(from: number, to: number): Map<string, number> {
    const [first, last] = [this.readings[from], this.readings[to]];
    return new Map(
      this.servers.map(({ name }, index) => {
        const used = last.servers[index].usedSeconds - first.servers[index].usedSeconds;
        return [name, used / (last.servers[index].limit * (last.at - first.at))];
      }),
    );
  }
}

const READ_MS = 250;

interface Reading {
  /** In seconds. */
  readonly at: number;
  readonly servers: readonly { readonly usedSeconds: number; readonly limit: number }[];
}

const round = (value: number): number => Math.round(100 * value) / 100;

/** The furthest that one load is from the mean of the others, as a share of that mean. */
export function worstDeviation(loads: ReadonlyMap<string, number>): number {
  const values = [...loads.values()];
  const sum = values.reduce((a, b) => a + b, 0);
  return Math.max(
    ...values.map((load) => {
      const others = (sum - load) / (values.length - 1);
      return Math.abs(load / others - 1);
    }),
  );
}
