import { z } from 'zod';
import { NAME_PATTERN } from '../table/forwarding-table.js';

/**
 * What conductor, nodes and commands tell one another through the store: one JSON value behind each key.
 *
 * | key | who writes it | what |
 * |---|---|---|
 * | `servers/NAME` | `twohop server`; the conductor, at first, from cluster.yaml | {@link serverRecord} |
 * | `vips/TRAFFICSET` | `twohop vip` | ranges of a trafficset, beside those of cluster.yaml (`vips.ts`) |
 * | `tables/TRAFFICSET/...` | the active conductor | forwarding tables: head, base, differences (`tables.ts`) |
 * | `planner/TRAFFICSET` | the active conductor, with each table | {@link plannerRecord} |
 * | `leader` | the active conductor, with its lease | {@link conductorRecord} |
 * | `conductors/NAME` | each conductor, with its lease | {@link conductorRecord} |
 * | `status` | the active conductor | {@link statusRecord} |
 * | `nodes/NAME` | each node, with its lease | {@link nodeRecord} |
 * | `health/NAME` | each node, with its lease | {@link healthRecord} |
 */
export const Keys = {
  servers: 'servers/',
  server: (name: string) => `servers/${name}`,
  vips: 'vips/',
  tables: 'tables/',
  planner: (trafficset: string) => `planner/${trafficset}`,
  leader: 'leader',
  conductors: 'conductors/',
  conductor: (name: string) => `conductors/${name}`,
  status: 'status',
  nodes: 'nodes/',
  node: (name: string) => `nodes/${name}`,
  health: 'health/',
  healthOf: (name: string) => `health/${name}`,
} as const;

const name = z.string().regex(NAME_PATTERN);

/** A server as the operator wants it. */
export const serverRecord = z.object({
  /** Dotted IPv4 address. */
  dip: z.ipv4(),
  /** Share relative to the others of its pool; 0: no new flows, still monitored. */
  weight: z.number().min(0).max(1_000_000),
  pool: name,
  /** `drained`: no new flows; what it has stays, and its routes are withdrawn. */
  state: z.enum(['active', 'drained']),
});
export type ServerRecord = z.output<typeof serverRecord>;

/** What a node says of itself, every second or so and whenever anything changes. */
export const nodeRecord = z.object({
  dip: z.ipv4(),
  /** Grows with each report of a life of the node: a report that stands still is stale. */
  sequence: z.int().min(0),
  /** It reads its TUN, and every trafficset has a table. */
  healthy: z.boolean(),
  /** By trafficset: version of the table that every worker uses, -1 before the first. */
  tables: z.record(z.string(), z.int()),
  /** By trafficset: version of the VIP ranges in use, 0 for those of cluster.yaml alone. */
  vips: z.record(z.string(), z.int()),
  /** CPU in use, 0 to 1 of what the server has; null where it is not known. */
  cpu: z.number().min(0).nullable(),
  /** `none`: this node announces nothing. */
  routes: z.enum(['none', 'announced', 'withdrawn']),
});
export type NodeRecord = z.output<typeof nodeRecord>;

/** What one vantage sees of one server by one monitor, after rise and fall. */
export const monitorResult = z.object({
  up: z.boolean(),
  /** Round trip of the last success, in milliseconds. */
  latency: z.number().min(0).nullable(),
  /** Why it is down; '' when it is up. */
  why: z.string(),
});
export type MonitorResult = z.output<typeof monitorResult>;

/** What a node sees of the servers it checks. */
export const healthRecord = z.object({
  /** As in {@link nodeRecord}. */
  sequence: z.int().min(0),
  /** By server, then by monitor. A server or monitor that has no result yet is not in it. */
  results: z.record(z.string(), z.record(z.string(), monitorResult)),
});
export type HealthRecord = z.output<typeof healthRecord>;

export const conductorRecord = z.object({
  name,
  /** ISO 8601. */
  since: z.string(),
});
export type ConductorRecord = z.output<typeof conductorRecord>;

/** What the planner has to remember of a trafficset beside its table and the age of its buckets. */
export const plannerRecord = z.object({
  /** Version of the table that it belongs to. */
  version: z.int(),
  /** What the control loop has made of the servers' weights, by name: 1 is the weight itself. */
  corrections: z.record(z.string(), z.number().positive()),
});
export type PlannerRecord = z.output<typeof plannerRecord>;

/** For `twohop status`: what the active conductor thinks. */
export const statusRecord = z.object({
  conductor: name,
  /** Revision of the store up to which all tables follow the records of `servers/`. */
  followed: z.int(),
  /** Whether health changes are held back because they hit most servers at once, and why; null when not. */
  wideProblem: z.string().nullable(),
  servers: z.record(
    z.string(),
    z.object({
      standing: z.enum(['in', 'drained', 'down', 'gone']),
      /** Why it stands there, for people. */
      why: z.string(),
      /** Of its pool's mean, as judged last; null without samples. */
      load: z.record(z.string(), z.number().nullable()),
      /** Mean latency over active members and vantages, in milliseconds. */
      latency: z.number().nullable(),
    }),
  ),
  trafficsets: z.record(
    z.string(),
    z.object({
      version: z.int(),
      buckets: z.int(),
      /** By server name: buckets in which it gets new flows. */
      newFlows: z.record(z.string(), z.int()),
      /** Buckets with a second hop. */
      secondHops: z.int(),
      /** What could not be done yet, and why; for people. */
      waiting: z.array(z.string()),
      /** ISO 8601: when something that waits may be possible; null when nothing waits. */
      nextAt: z.string().nullable(),
      /** What was published, the newest last. */
      moves: z.array(
        z.object({
          /** ISO 8601. */
          at: z.string(),
          version: z.int(),
          /** How many changed. */
          buckets: z.int(),
          /** As in `conductor/plan/types.ts`. */
          byRule: z.array(z.object({ rule: z.string(), kind: z.string(), buckets: z.int() })),
          /** Buckets whose established flows took one hop before and take two now. */
          longer: z.int(),
          /** For people, a line for each reason. */
          text: z.array(z.string()),
        }),
      ),
    }),
  ),
});
export type StatusRecord = z.output<typeof statusRecord>;

/** JSON as bytes. */
export function encodeRecord(record: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/** @returns null when the bytes are no such record: another release's, or somebody's hand */
export function decodeRecord<Shape>(shape: z.ZodType<Shape>, value: Uint8Array): Shape | null {
  try {
    const parsed = shape.safeParse(JSON.parse(Buffer.from(value).toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
