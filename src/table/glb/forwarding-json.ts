import { z } from 'zod';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../../wire/ip.js';
import { parseYaml } from '../yaml.js';
import {
  GLB_MAX_BACKENDS,
  GLB_MAX_BINDS,
  type GlbAddress,
  type GlbBackend,
  type GlbBind,
  parseGlbAddress,
} from './glb-table.js';

/**
 * GLB's `forwarding_table.json`: what its `glb-director-cli build-config` makes tables from.
 *
 * ```json
 * { "tables": [ {
 *   "hash_key": "00112233445566778899aabbccddeeff", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
 *   "binds": [ { "ip": "192.0.2.1", "proto": "tcp", "port": 80 },
 *              { "ip": "2001:db8::/64", "proto": "udp", "port_start": 8000, "port_end": 8999 } ],
 *   "backends": [ { "ip": "10.0.1.1", "state": "active", "healthy": true } ]
 * } ] }
 * ```
 *
 * Other keys are passed over, as GLB does.
 */

/** What one table is built from. */
export interface GlbTableSource {
  /** 16 bytes each. */
  readonly hashKey: Uint8Array;
  readonly seed: Uint8Array;
  readonly backends: readonly GlbBackend[];
  readonly binds: readonly GlbBind[];
}

const key = z
  .string()
  .regex(/^[0-9a-f]{32}$/i, { error: 'expected 32 hexadecimal digits' })
  .transform((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));

const backend = z
  .object({
    ip: z.string().transform((text, context) => readAddress(text, context)),
    state: z.enum(['active', 'filling', 'draining', 'inactive']),
    // GLB takes what is left out for unhealthy.
    healthy: z.boolean().default(false),
  })
  .transform(({ ip, state, healthy }): GlbBackend => ({ address: ip, state, healthy }));

const port = z.int().min(0).max(0xffff);

const bind = z
  .object({
    ip: z.string().transform((text, context) => readPrefix(text, context)),
    proto: z.enum(['tcp', 'udp']),
    port: port.optional(),
    port_start: port.optional(),
    port_end: port.optional(),
  })
  .transform((fields, context): GlbBind => {
    const firstPort = fields.port ?? fields.port_start;
    const lastPort = fields.port ?? fields.port_end;
    if (firstPort === undefined || lastPort === undefined || firstPort > lastPort) {
      context.addIssue({ code: 'custom', message: 'give port, or port_start and a port_end not below it' });
      return z.NEVER;
    }
    const protocol = fields.proto === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
    return { ...fields.ip, protocol, firstPort, lastPort };
  });

const table = z
  .object({
    hash_key: key,
    seed: key,
    backends: z.array(backend).max(GLB_MAX_BACKENDS),
    binds: z.array(bind).max(GLB_MAX_BINDS),
  })
  .transform(({ hash_key, seed, backends, binds }, context): GlbTableSource => {
    if (backends.filter(({ state }) => state !== 'inactive').length < 2) {
      context.addIssue({
        code: 'custom',
        path: ['backends'],
        message: 'expected at least two that are not inactive: a row has a primary and a secondary',
      });
    }
    return { hashKey: hash_key, seed, backends, binds };
  });

/** The whole file, for whoever has it as a part of another one. */
export const glbForwardingTableShape = z.object({ tables: z.array(table) });

/** @param file its name in messages. @throws ConfigError with every problem found, each with its place */
export function readGlbJson(text: string, file: string): readonly GlbTableSource[] {
  return parseYaml(text, file, glbForwardingTableShape, ({ tables }) => tables);
}

function readAddress(text: string, context: z.RefinementCtx): GlbAddress {
  try {
    return parseGlbAddress(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
}

function readPrefix(
  text: string,
  context: z.RefinementCtx,
): { readonly address: GlbAddress; readonly prefixLength: number } {
  const slash = text.indexOf('/');
  const address = readAddress(slash < 0 ? text : text.slice(0, slash), context);
  if (address === z.NEVER) return z.NEVER;
  const bits = 8 * address.bytes.length;
  const digits = slash < 0 ? `${bits}` : text.slice(slash + 1);
  const prefixLength = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(prefixLength <= bits)) {
    context.addIssue({
      code: 'custom',
      message: `expected a prefix length from 0 to ${bits}, got "${digits}"`,
    });
    return z.NEVER;
  }
  return { address, prefixLength };
}
