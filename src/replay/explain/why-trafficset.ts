import type { PathState } from '../../path/state.js';
import type { Prefix } from '../../table/address.js';
import type { ClusterConfig } from '../../table/cluster.js';
import {
  formatPortRange,
  type PortRange,
  protocolOf,
  type TrafficsetConfig,
  widthOf,
} from '../../table/trafficset.js';
import { NO_SERVICE, NOT_VIP } from '../../table/vip-matcher.js';
import { protocolName } from '../words.js';

/**
 * Why a destination belongs to a trafficset, found the slow way: every rule is looked at. The matcher of the path has
 * to come to the same answer.
 */
export interface TrafficsetReason {
  readonly trafficset: string | null;
  /** Sentences, the decisive one first. */
  readonly because: readonly string[];
}

interface Candidate {
  readonly trafficset: TrafficsetConfig;
  readonly prefix: Prefix;
  /** The narrowest that has the port, or of all when the port is not known; undefined where none has it. */
  readonly range: PortRange | undefined;
  /** The trafficset serves this protocol and port. */
  readonly serves: boolean;
}

/**
 * @param words the destination: one host-order word for IPv4, four for IPv6
 * @param port -1 where it is not known
 */
export function whyTrafficset(
  cluster: ClusterConfig,
  state: PathState,
  words: readonly number[],
  protocol: number,
  port: number,
): TrafficsetReason {
  const covering = cluster.trafficsets.flatMap((trafficset) => covers(trafficset, words, protocol, port));
  const serving = covering.filter(({ serves }) => serves).sort(moreSpecificFirst);
  const [best, ...others] = serving;
  checkAgainstPath(cluster, state, words, protocol, port, best?.trafficset.name ?? null, covering.length);
  const asked = `${protocolName(protocol)}${port < 0 ? '' : ` port ${port}`}`;
  if (best === undefined) {
    const because = covering.map(({ prefix, trafficset }) => {
      const ports = trafficset.ports.map(formatPortRange).join(', ');
      return `VIP ${prefix} is of ${trafficset.name}, which serves ${kindWords(trafficset)} ports ${ports}, not ${asked}`;
    });
    return {
      trafficset: null,
      because: because.length > 0 ? because : ['no VIP of any trafficset covers it'],
    };
  }
  const portWords =
    best.range === undefined || port < 0
      ? ''
      : `, and ${asked} is in its ports ${formatPortRange(best.range)}`;
  return {
    trafficset: best.trafficset.name,
    because: [
      `${best.trafficset.name}: its VIP ${best.prefix} covers the destination${portWords}`,
      ...others.map(
        ({ trafficset, prefix, range }) =>
          `${trafficset.name} would match too (${prefix}${range === undefined ? '' : `, ports ${formatPortRange(range)}`}), but is less specific`,
      ),
    ],
  };
}

function covers(
  trafficset: TrafficsetConfig,
  words: readonly number[],
  protocol: number,
  port: number,
): Candidate[] {
  const isIpv4 = words.length === 1;
  const prefixes = trafficset.vips.filter((prefix) =>
    isIpv4 ? prefix.contains4(words[0]) : prefix.contains6(words),
  );
  if (prefixes.length === 0) return [];
  const prefix = prefixes.reduce((longest, other) => (other.length > longest.length ? other : longest));
  const range = trafficset.ports
    .filter(({ first, last }) => port < 0 || (first <= port && port <= last))
    .sort((a, b) => widthOf(a) - widthOf(b))[0];
  const serves = protocolOf(trafficset.kind) === protocol && range !== undefined;
  return [{ trafficset, prefix, range, serves }];
}

/** The longer prefix, then the narrower port range. */
function moreSpecificFirst(a: Candidate, b: Candidate): number {
  if (a.prefix.length !== b.prefix.length) return b.prefix.length - a.prefix.length;
  if (a.range === undefined || b.range === undefined) return 0;
  return widthOf(a.range) - widthOf(b.range);
}

function kindWords({ kind }: TrafficsetConfig): string {
  return kind === 'tcp' ? 'TCP' : 'UDP';
}

function checkAgainstPath(
  cluster: ClusterConfig,
  state: PathState,
  words: readonly number[],
  protocol: number,
  port: number,
  found: string | null,
  covering: number,
): void {
  let answer: number;
  if (words.length === 1) {
    answer = state.vips.match4(words[0], protocol, port);
  } else {
    const data = new DataView(new ArrayBuffer(16));
    for (const [index, word] of words.entries()) data.setUint32(4 * index, word);
    answer = state.vips.match6(data, 0, protocol, port);
  }
  const expected = found ?? (covering > 0 ? 'NO_SERVICE' : 'NOT_VIP');
  const got =
    answer === NOT_VIP ? 'NOT_VIP' : answer === NO_SERVICE ? 'NO_SERVICE' : cluster.trafficsets[answer].name;
  if (got !== expected) throw new Error(`the path matches ${got} where its rules give ${expected}`);
}
