import { IP_PROTOCOL_ESP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../wire/ip.js';
import type { Prefix } from './address.js';
import { TableError } from './errors.js';
import {
  ALL_PORTS,
  formatPortRange,
  type PortRange,
  protocolsOf,
  type TrafficsetConfig,
  widthOf,
} from './trafficset.js';

/**
 * What an address offers: for each protocol and port, a trafficset. Which rule wins where prefixes nest and port
 * ranges overlap is settled here, once, so that the matcher finds every port in exactly one segment.
 */

/** The address lies in no VIP range. */
export const NOT_VIP = -1;
/** The address is a VIP, but no rule has this protocol and port. */
export const NO_SERVICE = -2;

/** One protocol of a service: the ports 0 to 65535 cut into segments, each with one answer. */
export interface Segments {
  /** First port of each segment, ascending; the first is 0. */
  readonly starts: readonly number[];
  /** Trafficset index or {@link NO_SERVICE} of each segment. */
  readonly trafficsets: readonly number[];
  /** The answer where the port is not known. */
  readonly anyPort: number;
}

/** Segments of the protocols in {@link PROTOCOLS}, in that order. */
export type Service = readonly Segments[];

/** Column `3 * service + i` of the packed services is that of protocol `i`. */
export const PROTOCOLS: readonly number[] = [IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IP_PROTOCOL_ESP];

const NOTHING: Service = PROTOCOLS.map(() => ({
  starts: [0],
  trafficsets: [NO_SERVICE],
  anyPort: NO_SERVICE,
}));

interface Rule {
  readonly trafficset: number;
  readonly ports: PortRange;
}

/**
 * Makes services and gives them numbers. Equal services get equal numbers, so that 100,000 ranges of one trafficset
 * share one. Number 0 is "no VIP".
 */
export class ServiceRegistry {
  readonly services: Service[] = [NOTHING];
  private readonly trafficsets: readonly TrafficsetConfig[];
  private readonly byContent = new Map<string, number>();
  private readonly byOrigin = new Map<string, number>();

  constructor(trafficsets: readonly TrafficsetConfig[]) {
    this.trafficsets = trafficsets;
  }

  /**
   * The service of a prefix that these trafficsets list (indices, ascending, each once), inside a prefix with
   * service `outer` (0: inside none).
   * @param prefix for messages
   * @throws TableError `rule-conflict`
   */
  serviceOf(outer: number, own: readonly number[], prefix: Prefix): number {
    const origin = `${outer}:${own.join()}`;
    const known = this.byOrigin.get(origin);
    if (known !== undefined) return known;
    const service = PROTOCOLS.map((protocol, column) => {
      const rules = this.rulesOf(own, protocol);
      this.refuseConflicts(rules, prefix);
      return overlay(this.services[outer][column], rules);
    });
    const content = JSON.stringify(service);
    let number = this.byContent.get(content);
    if (number === undefined) {
      number = this.services.push(service) - 1;
      this.byContent.set(content, number);
    }
    this.byOrigin.set(origin, number);
    return number;
  }

  private rulesOf(own: readonly number[], protocol: number): Rule[] {
    return own
      .filter((trafficset) => protocolsOf(this.trafficsets[trafficset]).includes(protocol))
      .flatMap((trafficset) => {
        const ports = protocol === IP_PROTOCOL_ESP ? [ALL_PORTS] : this.trafficsets[trafficset].ports;
        return ports.map((range) => ({ trafficset, ports: range }));
      });
  }

  private refuseConflicts(rules: readonly Rule[], prefix: Prefix): void {
    for (const [index, a] of rules.entries()) {
      for (const b of rules.slice(index + 1)) {
        if (a.trafficset === b.trafficset || !tie(a.ports, b.ports)) continue;
        const [nameA, nameB] = [this.trafficsets[a.trafficset].name, this.trafficsets[b.trafficset].name];
        throw new TableError(
          'rule-conflict',
          `trafficsets ${nameA} (ports ${formatPortRange(a.ports)}) and ${nameB} (ports ${formatPortRange(b.ports)}) ` +
            `both claim ${prefix}, and neither is more specific: separate their ports, or take the range from one`,
        );
      }
    }
  }
}

/** Whether ranges overlap and neither lies strictly inside the other. */
function tie(a: PortRange, b: PortRange): boolean {
  if (a.last < b.first || b.last < a.first) return false;
  const aHoldsB = a.first <= b.first && b.last <= a.last;
  const bHoldsA = b.first <= a.first && a.last <= b.last;
  return aHoldsB === bHoldsA;
}

/** The rules of a prefix laid over the service around it: where no rule has a port, the outer answer shows through. */
function overlay(outer: Segments, rules: readonly Rule[]): Segments {
  if (rules.length === 0) return outer;
  const narrowestFirst = [...rules].sort(
    (a, b) => widthOf(a.ports) - widthOf(b.ports) || a.trafficset - b.trafficset,
  );
  const cuts = new Set(outer.starts);
  for (const { ports } of rules) {
    cuts.add(ports.first);
    if (ports.last < 65535) cuts.add(ports.last + 1);
  }
  const starts: number[] = [];
  const trafficsets: number[] = [];
  for (const port of [...cuts].sort((a, b) => a - b)) {
    const rule = narrowestFirst.find(({ ports }) => ports.first <= port && port <= ports.last);
    const answer = rule?.trafficset ?? answerOf(outer, port);
    if (answer === trafficsets.at(-1)) continue;
    starts.push(port);
    trafficsets.push(answer);
  }
  return { starts, trafficsets, anyPort: narrowestFirst[0].trafficset };
}

function answerOf(segments: Segments, port: number): number {
  const next = segments.starts.findIndex((start) => start > port);
  return segments.trafficsets[(next < 0 ? segments.starts.length : next) - 1];
}
