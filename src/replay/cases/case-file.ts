import { z } from 'zod';
import type { ListedSockets } from '../../io/listed-sockets.js';
import { type ClusterConfig, clusterShape, finishCluster } from '../../table/cluster.js';
import type { ForwardingTable } from '../../table/forwarding-table.js';
import { type ProblemReport, parseYaml, readText, strictShape } from '../../table/yaml.js';
import type { ReplayStage } from '../replay.js';
import { parsePacket } from '../script/packet-script.js';
import { PacketScriptError } from '../script/tokens.js';
import {
  type FleetSessions,
  LISTEN_EVERYWHERE,
  makeSessions,
  makeSockets,
  socketsShape,
} from '../sockets-file.js';
import { caseTableShape, makeCaseTables } from './case-tables.js';

/**
 * `case.yaml`: a fleet, its tables and sockets, and what happens. Sections `underlay`, `servers` and `trafficsets` are
 * those of cluster.yaml, but `table` names a table of the case.
 */
export interface CaseFile {
  /** One sentence: what the case shows. */
  readonly title: string;
  readonly cluster: ClusterConfig;
  /** What each trafficset begins with. */
  readonly tables: ReadonlyMap<string, ForwardingTable>;
  /** Everything that a step may load. */
  readonly named: ReadonlyMap<string, ForwardingTable>;
  readonly sockets: ReadonlyMap<string, ListedSockets>;
  readonly sessions: FleetSessions;
  readonly stage: ReplayStage;
  /** Name of the server that the packets come to, null for the first. */
  readonly as: string | null;
  /** What `send.pcap` is made of; null when it comes from elsewhere. */
  readonly packets: readonly PacketLine[] | null;
  readonly steps: readonly CaseStep[];
}

export interface PacketLine {
  readonly line: string;
  readonly bytes: Uint8Array;
}

export type CaseStep =
  /** Number of packets, or all that are left. */
  { readonly kind: 'send'; readonly count: number } | { readonly kind: 'load'; readonly table: string };

const stepShape = z.union([
  strictShape({ send: z.union([z.int().min(1), z.literal('rest')]) }),
  strictShape({ load: z.string() }),
]);

const caseShape = strictShape({
  title: z.string().min(1),
  ...clusterShape,
  tables: z.record(z.string(), caseTableShape),
  sockets: socketsShape.default(LISTEN_EVERYWHERE),
  stage: z.enum(['forward', 'redirect', 'journey']).default('journey'),
  as: z.string().optional(),
  packets: z.array(z.string()).optional(),
  steps: z
    .array(stepShape)
    .min(1)
    .default([{ send: 'rest' }]),
});

/** @throws ConfigError with every problem found */
export function readCaseFile(file: string): CaseFile {
  return parseYaml(readText(file), file, caseShape, (sections, report) => {
    const cluster = finishCluster(sections, file, report);
    const trafficsets = cluster.trafficsets.map(({ name }) => name);
    const named = makeCaseTables(sections.tables, cluster.servers, trafficsets, report);
    const tables = new Map<string, ForwardingTable>();
    for (const [index, { name, table }] of sections.trafficsets.entries()) {
      const given = table === undefined ? undefined : named.get(table);
      if (given?.trafficset === name) tables.set(name, given);
      else report.at(['trafficsets', index, 'table'], `the case has no table ${table} for ${name}`);
    }
    if (sections.as !== undefined && !cluster.servers.some(({ name }) => name === sections.as)) {
      report.at(['as'], `there is no server named ${sections.as}`);
    }
    return {
      title: sections.title,
      cluster,
      tables,
      named,
      sockets: makeSockets(sections.sockets, cluster, report, ['sockets']),
      sessions: makeSessions(sections.sockets, cluster, report, ['sockets']),
      stage: sections.stage,
      as: sections.as ?? null,
      packets: sections.packets === undefined ? null : packetsOf(sections.packets, report),
      steps: sections.steps.map((step, index): CaseStep => {
        if ('send' in step)
          return { kind: 'send', count: step.send === 'rest' ? Number.POSITIVE_INFINITY : step.send };
        if (!named.has(step.load)) report.at(['steps', index, 'load'], `the case has no table ${step.load}`);
        return { kind: 'load', table: step.load };
      }),
    };
  });
}

function packetsOf(lines: readonly string[], report: ProblemReport): PacketLine[] {
  return lines.flatMap((line, index) => {
    try {
      return [{ line, bytes: parsePacket(line) }];
    } catch (error) {
      if (!(error instanceof PacketScriptError)) throw error;
      report.at(['packets', index], error.message);
      return [];
    }
  });
}
