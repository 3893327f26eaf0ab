import { z } from 'zod';
import { ProfiledRedirector } from '../../path/profile/profiled-redirector.js';
import { cloudflare } from '../../path/profile/redirector-profile.js';
import { bareSite } from '../../path/profile/redirector-site.js';
import { parseIpv4 } from '../../table/address.js';
import { byteDiff } from './byte-diff.js';
import { type FrameOutcome, runFrame } from './cls-redirect-frame.js';
import { type ClsRedirectSockets, readSockets } from './cls-redirect-sockets.js';
import { ETHERNET_HEADER } from './ethernet.js';
import { accountOf, groupOf, malformedVector, type VectorFormat, type VectorResult } from './format.js';
import { hexBytes, isRecord, shapeProblems } from './shape.js';

/**
 * Cloudflare's redirector: Ethernet frames in, verdicts, frames and counters out, as its eBPF program
 * (`test_cls_redirect.c`) gave them when it was run in a kernel. Asked of the profile `cloudflare`.
 *
 * A SYN cookie holds only for the boot that made it. What the counters call one is taken as valid for its listener, and
 * nothing else is.
 */

/** Longer names are none, and would drown what is printed. */
const identifier = z.string().min(1).max(200);

const vectorShape = z.object({
  name: identifier,
  in: hexBytes.refine((frame) => frame.length >= ETHERNET_HEADER, {
    error: `expected an Ethernet frame of at least ${ETHERNET_HEADER} bytes`,
  }),
  verdict: identifier,
  action: z.enum(['pass', 'drop', 'decap', 'forward_gue', 'forward_gre']),
  out: hexBytes.nullable(),
  counters: z.record(identifier, z.int().nonnegative()),
  /** MTU of the device where it was not {@link DEFAULT_MTU}. */
  ifmtu: z.int().positive().optional(),
});
type Vector = z.infer<typeof vectorShape>;

/** MTU of the loopback device, on which the program was run. */
const DEFAULT_MTU = 65_536;
const COOKIE_COUNTER = 'accepted_packets_total_syn_cookies';
/** Where the program was built to expect GUE; a file whose `source` names another place is believed. */
const DEFAULT_ENCAPSULATION = { address: parseIpv4('127.0.0.1'), port: 1234 };

export const clsRedirect: VectorFormat = {
  name: 'cls-redirect',

  recognises(file): boolean {
    if (!isRecord(file) || !Array.isArray(file.vectors)) return false;
    const sockets = file.sockets;
    if (isRecord(sockets) && ('tcp_listen' in sockets || 'established_tuples_as_seen_by_packet' in sockets))
      return true;
    return file.vectors.some((vector) => isRecord(vector) && 'verdict' in vector && 'counters' in vector);
  },

  *run(file): Generator<VectorResult> {
    if (!isRecord(file) || !Array.isArray(file.vectors)) return;
    const sockets = readSockets(file.sockets);
    const encapsulation = encapsulationOf(file.source);
    for (const [index, value] of file.vectors.entries()) {
      const vector = vectorShape.safeParse(value);
      if (vector.success) yield runVector(vector.data, sockets, encapsulation);
      else yield malformedVector(index, nameOf(value), shapeProblems(vector.error, value));
    }
  },
};

function runVector(
  vector: Vector,
  sockets: ClsRedirectSockets,
  encapsulation: typeof DEFAULT_ENCAPSULATION,
): VectorResult {
  const site = bareSite(encapsulation.address, encapsulation.port, vector.ifmtu ?? DEFAULT_MTU);
  const lookup = sockets[(vector.counters[COOKIE_COUNTER] ?? 0) > 0 ? 'cookiesValid' : 'cookiesInvalid'];
  const outcome = runFrame(new ProfiledRedirector(cloudflare, site, lookup), vector.in);
  const differences = compare(vector, outcome);
  const passed = differences.length === 0;
  return {
    group: groupOf(vector.name),
    name: vector.name,
    outcome: passed ? 'passed' : 'failed',
    detail: passed ? [] : [...differences, ...accountOf(outcome.steps)],
  };
}

function compare(vector: Vector, got: FrameOutcome): string[] {
  const lines: string[] = [];
  if (vector.verdict !== got.verdict) lines.push(`verdict: expected ${vector.verdict}, got ${got.verdict}`);
  if (vector.action !== got.action) lines.push(`action: expected ${vector.action}, got ${got.action}`);
  lines.push(...compareFrames(vector.out, got.out), ...compareCounters(vector.counters, got.counters));
  return lines;
}

function compareFrames(expected: Uint8Array | null, got: Uint8Array | null): string[] {
  if (expected === null) return got === null ? [] : [`output: expected none, got ${got.length} bytes`];
  if (got === null) return [`output: expected ${expected.length} bytes, got none`];
  const lines = byteDiff(expected, got);
  return lines.length === 0 ? [] : ['output:', ...lines.map((line) => `  ${line}`)];
}

function compareCounters(
  expected: Readonly<Record<string, number>>,
  got: ReadonlyMap<string, number>,
): string[] {
  const names = new Set([...Object.keys(expected), ...got.keys()]);
  const wanted = (name: string) => (Object.hasOwn(expected, name) ? expected[name] : 0);
  return [...names]
    .filter((name) => wanted(name) !== (got.get(name) ?? 0))
    .map((name) => `counter ${name}: expected ${wanted(name)}, got ${got.get(name) ?? 0}`);
}

/** `... ENCAPSULATION 127.0.0.1:1234` */
function encapsulationOf(source: unknown): typeof DEFAULT_ENCAPSULATION {
  const match =
    typeof source === 'string' ? /ENCAPSULATION\D{1,3}(\d+(?:\.\d+){3}):(\d{1,5})\b/.exec(source) : null;
  if (match === null) return DEFAULT_ENCAPSULATION;
  try {
    return { address: parseIpv4(match[1]), port: Number(match[2]) };
  } catch {
    return DEFAULT_ENCAPSULATION;
  }
}

function nameOf(vector: unknown): string | null {
  const name = identifier.safeParse(isRecord(vector) ? vector.name : null);
  return name.success ? name.data : null;
}
