import { createRequire } from 'node:module';
import type { z } from 'zod';
import { sourceAddress, twoTuple } from './address-keys.js';
import type { DissectorContext, DissectorSpec, DissectorType, FlowDissector } from './dissector.js';
import { MAX_DROP_REASONS } from './dissector.js';
import { fourTuple } from './four-tuple.js';
import { ipsecSpi } from './ipsec-spi.js';
import { quicCid } from './quic-cid.js';
import { wireguardClientid } from './wireguard-clientid.js';

/** Finds dissectors: the built-in ones by name, a user's own by file. */

/** One whose options are of a type that is not known here: its own shape checks them before it gets them. */
interface AnyDissectorType extends Omit<DissectorType, 'options'> {
  readonly options?: z.ZodType;
}

const builtIn: readonly AnyDissectorType[] = [
  fourTuple,
  twoTuple,
  sourceAddress,
  wireguardClientid,
  quicCid,
  ipsecSpi,
];

export const DISSECTOR_NAMES: readonly string[] = builtIn.map(({ name }) => name);

/** One thing that is wrong with the options of a dissector. */
export interface OptionProblem {
  /** Where in the options; empty for all of them. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A dissector cannot be had as the configuration asks for it. */
export class DissectorError extends Error {
  constructor(readonly problems: readonly OptionProblem[]) {
    super(
      problems.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '),
    );
    this.name = 'DissectorError';
  }
}

/** @throws DissectorError with every problem found */
export function createDissector(spec: DissectorSpec, context: DissectorContext): FlowDissector {
  const type = spec.module === null ? findBuiltIn(spec.name) : loadType(spec.module);
  const foreign = context.protocols.find((protocol) => type.protocols?.includes(protocol) === false);
  if (foreign !== undefined) {
    throw problem(
      `${type.name} does not understand IP protocol ${foreign}, which the trafficset has: choose another`,
    );
  }
  const options = parseOptions(type, spec.options);
  let dissector: FlowDissector;
  try {
    dissector = type.create(options as never, context);
  } catch (error) {
    throw problem(messageOf(error));
  }
  checkDissector(dissector, spec);
  return dissector;
}

function findBuiltIn(name: string): AnyDissectorType {
  const type = builtIn.find((candidate) => candidate.name === name);
  if (type === undefined) {
    throw problem(
      `there is no dissector named ${name}: choose ${DISSECTOR_NAMES.join(', ')}, or name a file with module`,
    );
  }
  return type;
}

/** Workers and commands wait for it: a dissector's file is small, and read once per thread. */
function loadType(file: string): AnyDissectorType {
  let exported: unknown;
  try {
    exported = createRequire(import.meta.url)(file);
  } catch (error) {
    throw problem(`${file} cannot be loaded: ${messageOf(error)}`);
  }
  const type = (exported as { readonly default?: unknown }).default ?? exported;
  if (!isType(type)) {
    throw problem(
      `${file} must export { name, create(options, context) } as default: see README, A dissector of your own`,
    );
  }
  return type;
}

function isType(value: unknown): value is AnyDissectorType {
  if (typeof value !== 'object' || value === null) return false;
  const { name, create } = value as Partial<AnyDissectorType>;
  return typeof name === 'string' && /^[a-z0-9-]{1,64}$/.test(name) && typeof create === 'function';
}

function parseOptions(type: AnyDissectorType, options: DissectorSpec['options']): unknown {
  // A user's file may take its options as they are.
  if (type.options === undefined) {
    const [unknown] = Object.keys(options);
    if (unknown !== undefined && builtIn.includes(type))
      throw problem(`${type.name} takes no options`, [unknown]);
    return options;
  }
  const result = type.options.safeParse(options);
  if (result.success) return result.data;
  throw new DissectorError(
    result.error.issues.map(({ path, message }) => ({
      path: path.map((step) => (typeof step === 'number' ? step : String(step))),
      message,
    })),
  );
}

function checkDissector(dissector: FlowDissector, { module, name }: DissectorSpec): void {
  const where = module ?? name;
  if (typeof dissector?.dissect !== 'function') {
    throw problem(`${where}: create() must return an object with dissect(packet, flow, key)`);
  }
  const { drops = [] } = dissector;
  if (drops.length > MAX_DROP_REASONS || drops.some((reason) => !/^[a-z0-9_]{1,40}$/.test(reason))) {
    throw problem(`${where}: drops must be at most ${MAX_DROP_REASONS} names of a-z, 0-9 and "_"`);
  }
}

function problem(message: string, path: readonly string[] = []): DissectorError {
  return new DissectorError([{ path, message }]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
