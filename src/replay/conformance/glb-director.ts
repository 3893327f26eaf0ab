import { z } from 'zod';
import { ListedSockets } from '../../io/listed-sockets.js';
import {
  type ForwarderProfile,
  github,
  githubDpdk,
  type KeyField,
} from '../../path/profile/forwarder-profile.js';
import type { ForwarderSite } from '../../path/profile/forwarder-site.js';
import { ProfiledForwarder } from '../../path/profile/profiled-forwarder.js';
import { formatIpv4 } from '../../wire/address.js';
import { ETHERTYPE_IPV4, etherFrame, splitFrame } from './ethernet.js';
import {
  accountOf,
  ConformanceError,
  malformedVector,
  type VectorFormat,
  type VectorResult,
} from './format.js';
import { glbSite, readGlbTables } from './glb-site.js';
import { compareBytes, hexBytes, ipv4, isRecord, shapeProblems } from './shape.js';

/**
 * GitHub's director: Ethernet frames in; hash, row, hops, outer source port, and the frames of its XDP and its DPDK
 * director out. Asked of the profiles `github` and `githubDpdk`, with the hash fields that the file names.
 *
 * The director's work begins where a packet was found to be for one of its tables; the file says for which.
 */

const macAddress = z
  .string()
  .regex(/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i, { error: 'expected a MAC address like 02:00:00:00:00:01' })
  .transform((text) => new Uint8Array(Buffer.from(text.replaceAll(/[:-]/g, ''), 'hex')));

const field = z.boolean().default(false);
const hashFields = z
  .object({ src_addr: field, dst_addr: field, src_port: field, dst_port: field })
  .transform((fields): readonly KeyField[] => {
    const names: readonly [boolean, KeyField][] = [
      [fields.src_addr, 'source-address'],
      [fields.dst_addr, 'destination-address'],
      [fields.src_port, 'source-port'],
      [fields.dst_port, 'destination-port'],
    ];
    return names.filter(([enabled]) => enabled).map(([, name]) => name);
  });

const configShape = z.object({
  outbound_src_ip: ipv4,
  outbound_gateway_mac: macAddress,
  hash_fields: hashFields
    .refine((fields) => fields.length > 0, { error: 'expected at least one field to be true' })
    .nullish(),
  // Without any field there is no second key.
  alt_hash_fields: hashFields.transform((fields) => (fields.length === 0 ? null : fields)).nullish(),
  table_index: z.int().nonnegative().default(0),
  vectors: z.array(z.unknown()),
});
type Config = z.infer<typeof configShape>;

const vectorShape = z
  .object({
    in: hexBytes,
    error: z.boolean().default(false),
    hash: z
      .string()
      .regex(/^[0-9a-f]{16}$/i, { error: 'expected 16 hexadecimal digits' })
      .optional(),
    idx: z.int().optional(),
    hops: z.array(z.string()).optional(),
    udp_sport: z.int().optional(),
    out_udp0: hexBytes.optional(),
    out_dpdk: hexBytes.optional(),
  })
  .refine(({ hash, out_udp0, out_dpdk }) => hash === undefined || (out_udp0 ?? out_dpdk) !== undefined, {
    error: 'expected out_udp0 or out_dpdk beside the hash',
  });
type Vector = z.infer<typeof vectorShape>;

const GLB_PORT = 19523;
/** Of the outer UDP header in a packet that starts with its IPv4 header. */
const AT_SOURCE_PORT = 20;

export const glbDirector: VectorFormat = {
  name: 'glb-director',

  recognises(file): boolean {
    if (!isRecord(file) || !isRecord(file.configs)) return false;
    if ('forwarding_table' in file) return true;
    return Object.values(file.configs).some((config) => isRecord(config) && 'vectors' in config);
  },

  *run(file): Generator<VectorResult> {
    if (!isRecord(file) || !isRecord(file.configs)) return;
    const tables = readGlbTables('glb-director', file.forwarding_table);
    for (const [name, value] of Object.entries(file.configs)) {
      const config = readConfig(name, value);
      if (config.table_index >= tables.length) {
        throw new ConformanceError(
          `glb-director: configs.${name}.table_index: there is no table ${config.table_index}, only ${tables.length}`,
        );
      }
      const table = tables[config.table_index]();
      const site = glbSite(table, config.table_index, config.outbound_src_ip, GLB_PORT);
      yield* runConfig(name, config, site);
    }
  },
};

function readConfig(name: string, value: unknown): Config {
  const config = configShape.safeParse(value);
  if (config.success) return config.data;
  const problems = shapeProblems(config.error, value).map((problem) => `configs.${name}.${problem}`);
  throw new ConformanceError(`glb-director: ${problems.slice(0, 5).join('; ')}`);
}

function* runConfig(group: string, config: Config, site: ForwarderSite): Generator<VectorResult> {
  const configured = (profile: ForwarderProfile): ForwarderProfile => ({
    ...profile,
    keyFields: config.hash_fields ?? profile.keyFields,
    alternativeKeyFields: config.alt_hash_fields ?? null,
  });
  const sockets = new ListedSockets();
  const xdp = new ProfiledForwarder(configured(github), site, sockets);
  const dpdk = new ProfiledForwarder(configured(githubDpdk), site, sockets);
  for (const [index, value] of config.vectors.entries()) {
    const name = `${group}/${index}`;
    const vector = vectorShape.safeParse(value);
    if (!vector.success) {
      yield malformedVector(index, name, shapeProblems(vector.error, value));
      continue;
    }
    const differences = compare(vector.data, config, xdp, dpdk);
    yield { group, name, outcome: differences.length === 0 ? 'passed' : 'failed', detail: differences };
  }
}

function compare(vector: Vector, config: Config, xdp: ProfiledForwarder, dpdk: ProfiledForwarder): string[] {
  const frame = splitFrame(vector.in);
  // What is no IP, or no frame at all, no director encapsulates.
  const outcome = frame === null ? null : xdp.process(frame.packet, frame.version);
  const sent = outcome?.action === 'send';
  const expected = vector.error ? undefined : (vector.out_udp0 ?? vector.out_dpdk);
  if (outcome === null || frame === null || !sent || expected === undefined) {
    if (!sent && expected === undefined) return [];
    const wanted = expected === undefined ? 'not to be encapsulated' : 'to be encapsulated';
    return [
      `expected ${wanted}, got ${outcome?.reason ?? 'no IP packet'}`,
      ...accountOf(outcome?.steps ?? []),
    ];
  }
  const lines = [
    ...differing('hash', vector.hash?.toLowerCase(), outcome.hash),
    ...differing('idx', vector.idx, outcome.row),
    ...differing('hops', vector.hops?.join(' '), outcome.hops.map(formatIpv4).join(' ')),
    ...differing('udp_sport', vector.udp_sport, Buffer.from(outcome.bytes).readUInt16BE(AT_SOURCE_PORT)),
  ];
  const framed = (bytes: Uint8Array): Uint8Array =>
    etherFrame(config.outbound_gateway_mac, ETHERTYPE_IPV4, bytes);
  if (vector.out_udp0 !== undefined) {
    lines.push(...compareBytes('out_udp0', vector.out_udp0, framed(outcome.bytes)));
  }
  if (vector.out_dpdk !== undefined) {
    const { bytes } = dpdk.process(frame.packet, frame.version);
    lines.push(...compareBytes('out_dpdk', vector.out_dpdk, framed(bytes)));
  }
  return lines.length === 0 ? [] : [...lines, ...accountOf(outcome.steps)];
}

/** What the file does not say is not compared. */
function differing<T>(name: string, expected: T | undefined, got: T): string[] {
  return expected === undefined || expected === got ? [] : [`${name}: expected ${expected}, got ${got}`];
}
