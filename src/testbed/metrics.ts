import { request } from 'node:http';

/** One sample of the Prometheus text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A page of metrics, with the sums that scenarios ask for. */
export class Metrics {
  constructor(readonly samples: readonly Sample[]) {}

  /** Sum of all samples of this name whose labels include those given. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels);
    let sum = 0;
    for (const sample of this.samples) {
      if (sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value)) {
        sum += sample.value;
      }
    }
    return sum;
  }

  has(name: string): boolean {
    return this.samples.some((sample) => sample.name === name);
  }
}

/** Reads the text format (version 0.0.4): comments are skipped, timestamps ignored. */
export function parseMetrics(text: string): Metrics {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (match === null) continue;
    const [, name, labels = '', value] = match;
    samples.push({ name, labels: parseLabels(labels), value: parseValue(value) });
  }
  return new Metrics(samples);
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}

function parseValue(text: string): number {
  return text.endsWith('Inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** GET over a unix socket. @throws Error when nobody listens, or nothing comes for 2 s */
export function getOverUnixSocket(socketPath: string, path: string): Promise<Answer> {
  return requestOverUnixSocket(socketPath, path, { method: 'GET', timeoutMs: 2000 });
}

/**
 * A request over a unix socket, which works from any network namespace.
 * @throws Error when nobody listens, or nothing comes for so long
 */
export function requestOverUnixSocket(
  socketPath: string,
  path: string,
  options: { readonly method: 'GET' | 'PUT'; readonly timeoutMs: number },
): Promise<Answer> {
  const { method, timeoutMs: timeout } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, method, agent: false, timeout }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${socketPath}: no answer`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
