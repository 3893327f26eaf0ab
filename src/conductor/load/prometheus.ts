import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { LoadEvents, LoadSource } from './source.js';

/**
 * Load from Prometheus: an instant query over its HTTP API, with one sample per server, named by the label `server`.
 *
 * Prometheus itself forgets a series when it finds that its target cannot be scraped any more. One that was stopped and
 * goes on has found nothing yet, and takes samples for current that are up to five minutes old. So it is asked to look
 * back no further than two balance intervals, which it does from version 2.43 on; ranges, like that of `rate`, look back
 * as far as they say, in every version. On top of that, an answer whose time is further than that from our clock is not
 * used (a cache in between, a clock that is wrong).
 */

const responseShape = z.object({
  status: z.string(),
  error: z.string().optional(),
  data: z
    .object({
      resultType: z.string(),
      result: z.array(z.unknown()),
    })
    .optional(),
});

const sampleShape = z.object({
  metric: z.record(z.string(), z.string()),
  value: z.tuple([z.number(), z.string()]),
});

/** Longest wait for an answer; less where balance steps follow each other quicker. */
const TIMEOUT_MS = 5000;

export interface PrometheusOptions {
  /** `http://prometheus:9090` */
  readonly address: string;
  readonly expression: string;
  readonly intervalSeconds: number;
  readonly clock: Clock;
  readonly events: LoadEvents;
}

export class PrometheusLoad implements LoadSource {
  private trouble = '';

  constructor(private readonly options: PrometheusOptions) {}

  async sample(): Promise<ReadonlyMap<string, number>> {
    let result: readonly unknown[];
    try {
      result = await this.query();
    } catch (error) {
      this.options.events.dropped('unreachable', 1);
      this.tell(`Prometheus at ${this.options.address}: ${reasonOf(error)}; no load is balanced by it`);
      return new Map();
    }
    const problems = new Set<string>();
    const loads = this.read(result, problems);
    if (result.length === 0) problems.add(this.noSamples());
    this.tell([...problems].join('; '));
    return loads;
  }

  private noSamples(): string {
    const seconds = 2 * this.options.intervalSeconds;
    return `the expression has no samples of the last ${seconds} s: see whether it is right, and how often it is scraped`;
  }

  private async query(): Promise<readonly unknown[]> {
    const { address, expression, intervalSeconds } = this.options;
    const url = new URL(`${address.replace(/\/$/, '')}/api/v1/query`);
    url.searchParams.set('query', expression);
    url.searchParams.set('lookback_delta', `${2 * intervalSeconds}`);
    const timeout = Math.min(TIMEOUT_MS, 1000 * intervalSeconds);
    const response = await fetch(url, { signal: AbortSignal.timeout(timeout) });
    const text = await response.text();
    const parsed = responseShape.safeParse(parseJson(text));
    if (!parsed.success) throw new Error(`HTTP ${response.status} and no answer of the API`);
    const { status, error, data } = parsed.data;
    if (status !== 'success' || data === undefined)
      throw new Error(error ?? `HTTP ${response.status}, status ${status}`);
    if (data.resultType !== 'vector')
      throw new Error(`the expression gives a ${data.resultType}: one sample per server is needed`);
    return data.result;
  }

  private read(result: readonly unknown[], problems: Set<string>): Map<string, number> {
    const { clock, intervalSeconds, events } = this.options;
    const loads = new Map<string, number>();
    const ambiguous = new Set<string>();
    for (const one of result) {
      const parsed = sampleShape.safeParse(one);
      const server = parsed.data?.metric.server;
      if (parsed.data === undefined || server === undefined) {
        events.dropped('no-server', 1);
        problems.add('samples without the label server: end the expression with "by (server)"');
        continue;
      }
      const [time, text] = parsed.data.value;
      // Prometheus writes NaN, +Inf and -Inf as they are; Number() would take the empty text for 0.
      const load = text.trim() === '' ? Number.NaN : Number(text);
      if (!Number.isFinite(load)) {
        events.dropped('not-a-number', 1);
      } else if (Math.abs(clock.unix() / 1000 - time) > 2 * intervalSeconds) {
        events.dropped('stale', 1);
        problems.add('samples are stale, or the clocks of Prometheus and conductor differ');
      } else if (loads.has(server) || ambiguous.has(server)) {
        ambiguous.add(server);
        loads.delete(server);
        events.dropped('ambiguous', 1);
        problems.add(`several samples for server ${server}: sum them with "by (server)"`);
      } else loads.set(server, load);
    }
    return loads;
  }

  /** @param trouble '' when there is none */
  private tell(trouble: string): void {
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    if (trouble === '') this.options.events.recovered();
    else this.options.events.trouble(trouble);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `fetch` says "fetch failed" and keeps the reason to itself. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  return error.cause instanceof Error ? error.cause.message : error.message;
}
