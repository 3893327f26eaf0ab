import { readFileSync } from 'node:fs';
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import { z } from 'zod';
import { nearest } from './nearest.js';

/**
 * Configuration files: YAML, checked against a zod shape. All problems of a file are told at once, each with its place:
 * `cluster.yaml:7:12: servers[0].dip: expected an IPv4 address like 10.0.1.1, got "10.0.1"`.
 */

export type ConfigPath = readonly (string | number)[];

export interface ConfigProblem {
  readonly file: string;
  /** From 1; both absent where the file as a whole is meant. */
  readonly line?: number;
  readonly column?: number;
  /** `servers[0].dip`; '' for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** A configuration that cannot be used; the message has one line per problem. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Collects what is wrong with a file that has the right shape. */
export interface ProblemReport {
  /** Something at a path of the file. */
  at(path: ConfigPath, message: string): void;
  /** Something in another file that this one names. */
  add(problem: ConfigProblem): void;
}

/**
 * @param shape what the file must look like; use {@link strictShape} for maps
 * @param finish makes the result of what has the right shape, and reports what contradicts itself; what it returns is
 *   not used when it reported anything
 * @throws ConfigError with every problem found
 */
export function readYaml<Shape, Result>(
  file: string,
  shape: z.ZodType<Shape>,
  finish: (value: Shape, report: ProblemReport) => Result,
): Result {
  return parseYaml(readText(file), file, shape, finish);
}

/** The same for text at hand. @param file its name in messages */
export function parseYaml<Shape, Result>(
  text: string,
  file: string,
  shape: z.ZodType<Shape>,
  finish: (value: Shape, report: ProblemReport) => Result,
): Result {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problems: ConfigProblem[] = [];
  const at = (path: ConfigPath, message: string, subject: Subject = 'value') => {
    const place = placeOf(lines, offsetOf(document, path, subject));
    problems.push({ file, ...place, path: formatPath(path), message });
  };
  for (const { code, pos, message } of [...document.errors, ...document.warnings]) {
    // The first line is the reason; the rest quotes the source.
    const [reason] = message.split(/ at line \d|\n/);
    const several = 'a second document begins here: one file is one document';
    problems.push({
      file,
      ...placeOf(lines, pos[0]),
      path: '',
      message: code === 'MULTIPLE_DOCS' ? several : reason,
    });
  }
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      const place = placeOf(lines, startOf(alias) ?? 0);
      problems.push({
        file,
        ...place,
        path: '',
        message: `there is no anchor &${alias.source} before this alias`,
      });
    },
  });
  refuse(problems);
  const result = shape.safeParse(toPlain(document, file), { error: expectation, reportInput: true });
  if (!result.success) {
    for (const issue of result.error.issues) {
      const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
      if (issue.code === 'unrecognized_keys') {
        // One line per key, see strictShape.
        const messages = issue.message.split('\n');
        for (const [index, key] of issue.keys.entries())
          at([...path, key], messages[index] ?? messages[0], 'key');
      } else {
        at(path, issue.code === 'custom' ? issue.message : `${issue.message}, got ${show(issue.input)}`);
      }
    }
    throw new ConfigError(problems);
  }
  const finished = finish(result.data, { at, add: (problem) => problems.push(problem) });
  refuse(problems);
  return finished;
}

/** A map with these keys and no others; an unknown key is told with the nearest known one. */
export function strictShape<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      const messages = issue.keys.map((key) => {
        const hint = nearest(key, known);
        return `unknown key, ${hint === undefined ? `known are ${known.join(', ')}` : `did you mean ${hint}?`}`;
      });
      return messages.join('\n');
    },
  });
}

/** @throws ConfigError when the file cannot be read */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(', ')[0] : String(error);
    const message = `cannot be read (${reason})`;
    throw new ConfigError([{ file, path: '', message }], { cause: error });
  }
}

function refuse(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Aliases can make a small file large: past a limit the parser gives up. */
function toPlain(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ConfigError([{ file, path: '', message }], { cause: error });
  }
}

/** What zod would have liked to see, in words. The value that it saw is appended by the caller. */
const expectation: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${KINDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `expected ${issue.values.map((value) => String(value)).join(' or ')}`;
    case 'too_small':
      return `expected ${issue.inclusive ? 'at least' : 'more than'} ${amount(issue.minimum, issue.origin)}`;
    case 'too_big':
      return `expected ${issue.inclusive ? 'at most' : 'less than'} ${amount(issue.maximum, issue.origin)}`;
    default:
      return undefined;
  }
};

const KINDS: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a map',
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

/** `5`, `1 entry`, `3 characters` */
function amount(limit: number | bigint, origin: string): string {
  const one = Number(limit) === 1;
  if (origin === 'array') return `${limit} ${one ? 'entry' : 'entries'}`;
  if (origin === 'string') return `${limit} ${one ? 'character' : 'characters'}`;
  return `${limit}`;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Whether a place is where a key stands or where its value does. */
type Subject = 'key' | 'value';

/** Where in the text something stands; what is missing, at the innermost thing around it. */
function offsetOf(document: Document, path: ConfigPath, subject: Subject): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(({ key }) => String(key) === String(step));
      if (pair === undefined) return offset;
      const wantsKey = subject === 'key' && depth === path.length - 1;
      const valueStart = isScalar(pair.value) && pair.value.value !== null ? startOf(pair.value) : undefined;
      offset = (wantsKey ? undefined : valueStart) ?? startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = startOf(node) ?? offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function placeOf(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

/** `trafficsets[0].vips[2]` */
export function formatPath(path: ConfigPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  return `${place}: ${path === '' ? '' : `${path}: `}${message}`;
}
