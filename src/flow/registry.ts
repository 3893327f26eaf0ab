import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { z } from 'zod';
import { sourceAddress, twoTuple } from './address-keys.js';
import type { DissectorContext, DissectorSpec, DissectorType, FlowDissector } from './dissector.js';
import { MAX_DROP_REASONS } from './dissector.js';
import { fourTuple } from './four-tuple.js';
import { ipsecSpi } from './ipsec-spi.js';
import { quicCid } from './quic-cid.js';
import { mostUserDrops, UserDissector } from './user-dissector.js';
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
  if (spec.module === null) return dissector;
  checkDissector(dissector, spec.module);
  return new UserDissector({
    name: type.name,
    drops: dissector.drops ?? [],
    dissect: dissector.dissect.bind(dissector),
    ...(dissector.dissectQuoted === undefined
      ? {}
      : { dissectQuoted: dissector.dissectQuoted.bind(dissector) }),
    ...(dissector.deliver === undefined ? {} : { deliver: dissector.deliver.bind(dissector) }),
  });
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

/** Files that were loaded in this thread, by path: what they exported, and a digest of their text. */
const loaded = new Map<string, { readonly digest: string; readonly type: AnyDissectorType }>();

/**
 * Workers and commands wait for it: a dissector's file is small, and read once per thread. Node keeps a module for as
 * long as the process lives; a file that has changed since is refused, as some threads would have the one and some the
 * other.
 */
function loadType(file: string): AnyDissectorType {
  let digest: string;
  let exported: unknown;
  try {
    digest = createHash('sha256').update(readFileSync(file)).digest('hex');
    const known = loaded.get(file);
    if (known?.digest === digest) return known.type;
    if (known !== undefined) {
      throw new Error('it has changed since it was loaded: restart the process to take it up');
    }
    exported = createRequire(import.meta.url)(file);
  } catch (error) {
    throw problem(`${file} cannot be loaded: ${messageOf(error)}`);
  }
  const type = defaultOf(exported);
  if (!isType(type)) {
    throw problem(
      `${file} must export { name, create(options, context) } as default, with a name of a-z, 0-9 and "-": see README, A dissector of your own`,
    );
  }
  loaded.set(file, { digest, type });
  return type;
}

function defaultOf(exported: unknown): unknown {
  return (exported as { readonly default?: unknown } | null)?.default ?? exported;
}

function isType(value: unknown): value is AnyDissectorType {
  if (typeof value !== 'object' || value === null) return false;
  const { name, create, protocols, options } = value as Partial<AnyDissectorType>;
  return (
    typeof name === 'string' &&
    /^[a-z0-9-]{1,64}$/.test(name) &&
    typeof create === 'function' &&
    (protocols === undefined || Array.isArray(protocols)) &&
    (options === undefined || typeof options?.safeParse === 'function')
  );
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
    result.error.issues.map((issue) => ({
      path: issue.path.map((step) => (typeof step === 'number' ? step : String(step))),
      message: issue.code === 'unrecognized_keys' ? unknownOptions(type, issue) : issue.message,
    })),
  );
}

/** With the options that there are, where they are those of the dissector itself. */
function unknownOptions(type: AnyDissectorType, issue: z.core.$ZodIssueUnrecognizedKeys): string {
  const known = issue.path.length === 0 ? Object.keys((type.options as { shape?: object }).shape ?? {}) : [];
  const hint = known.length === 0 ? '' : `: ${type.name} has ${known.join(', ')}`;
  return `unknown option ${issue.keys.join(', ')}${hint}`;
}

function checkDissector(dissector: FlowDissector, file: string): void {
  if (typeof dissector?.dissect !== 'function') {
    throw problem(`${file}: create() must return an object with dissect(packet, flow, key)`);
  }
  for (const optional of ['dissectQuoted', 'deliver'] as const) {
    if (dissector[optional] !== undefined && typeof dissector[optional] !== 'function') {
      throw problem(`${file}: ${optional} must be a function, or not there`);
    }
  }
  const { drops = [] } = dissector;
  const most = mostUserDrops(MAX_DROP_REASONS);
  const isSound = Array.isArray(drops) && drops.every((reason) => /^[a-z0-9_]{1,40}$/.test(String(reason)));
  if (!isSound || drops.length > most) {
    throw problem(`${file}: drops must be at most ${most} names of a-z, 0-9 and "_"`);
  }
}

function problem(message: string, path: readonly string[] = []): DissectorError {
  return new DissectorError([{ path, message }]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
