import { oneLine, tree } from '../replay/dissect/dissect.js';
import type { Field, Layer } from '../replay/dissect/layer.js';
import type { ExplainedStep, Explanation } from '../replay/explain/explain.js';
import type { MtuArithmetic } from '../replay/explain/mtu.js';
import type { TableChange, TableRow } from '../replay/explain/table-change.js';
import type { ServerCases } from '../replay/explain/what-if.js';
import type { HopDetail, LookupDetail } from '../replay/step-detail.js';
import { formatIpv4 } from '../wire/address.js';
import { colors } from './colors.js';

/** An explanation for people: one section per question. */
export function describeExplanation(explanation: Explanation): string {
  const { origin, layers, noPath, trafficset, lookup, steps, servers, mtu, change } = explanation;
  const sections = [section(`The packet (${origin})`, tree(layers))];
  if (noPath !== null) return [...sections, noPath].join('\n\n');
  if (trafficset !== null) sections.push(section('Which trafficset, and why', trafficset.because));
  if (lookup !== null) sections.push(section('The forwarding table', lookupLines(lookup)));
  sections.push(section('Its way', steps.flatMap(stepLines)));
  if (servers.length > 0)
    sections.push(section('What each server on the way would do', servers.flatMap(caseLines)));
  if (mtu !== null) sections.push(section('MTU', mtuLines(mtu)));
  if (change !== null) sections.push(section('With the other table', changeLines(change)));
  return sections.join('\n\n');
}

function section(title: string, lines: readonly string[]): string {
  return [colors.bold(title), ...lines.map((line) => `  ${line}`)].join('\n');
}

function lookupLines(lookup: LookupDetail): string[] {
  const { dissector, key, hash, bucket, buckets, tableVersion, firstHop, secondHop, named } = lookup;
  return [
    `flow key    ${grouped(key)} (${dissector}, ${key.length / 2} bytes)`,
    `hash        ${hash} (HalfSipHash-2-4 under the table's key)`,
    `bucket      ${bucket} of ${buckets} (the lowest ${Math.log2(buckets)} bits), table version ${tableVersion}`,
    `first hop   ${hopWords(firstHop)}`,
    `second hop  ${hopWords(secondHop)}`,
    ...(named === null ? [] : [`named       ${hopWords(named)}: the packet itself names its server`]),
  ];
}

/**
 * One step: what was decided, and the bytes that leave. Of these only what is new is taken apart: the wrapper when it is
 * written, and the fields that a redirect changes.
 */
function stepLines(step: ExplainedStep, index: number, steps: readonly ExplainedStep[]): string[] {
  const { server, stage, verdict, reason, sentences, elsewhere, nextHop, copies, bytes, layers } = step;
  const lines = [`${server}, ${stage}: ${colors.bold(verdict)}: ${reason}`];
  lines.push(...sentences.map((sentence) => `  - ${sentence}`));
  for (const other of elsewhere.filter((candidate) => candidate.reason !== verdict)) {
    lines.push(`  * ${other.system}'s redirector: ${other.reason}: ${other.meaning}`);
  }
  if (bytes === null) return lines;
  if (copies.length > 0) lines.push(`  copies go to ${copies.map(hopWords).join(', ')}`);
  if (nextHop === null) return [...lines, `  the kernel gets ${bytes.length} bytes: ${oneLine(layers)}`];
  lines.push(`  sent to ${hopWords(nextHop)}: ${bytes.length} bytes: ${oneLine(layers)}`);
  const before = index === 0 ? [] : wrapperOf(steps[index - 1].layers);
  const now = wrapperOf(layers);
  const details = before.length === now.length ? changedFields(before, now) : tree(now);
  return [...lines, ...hexLines(bytes).map((line) => `    ${line}`), ...details.map((line) => `    ${line}`)];
}

/** The layers up to GUE. */
function wrapperOf(layers: readonly Layer[]): readonly Layer[] {
  return layers.slice(0, layers.findIndex(({ protocol }) => protocol === 'GUE') + 1);
}

function changedFields(before: readonly Layer[], now: readonly Layer[]): string[] {
  return now.flatMap(({ protocol, fields }, layer) =>
    fields.flatMap((field, index) => {
      const old = before[layer].fields[index];
      if (old === undefined || (old.value === field.value && old.note === field.note)) return [];
      const words = ({ value, note }: Field) => (note === undefined ? value : `${value} (${note})`);
      return [`${protocol} ${field.name} at ${field.offset}: ${words(old)} becomes ${words(field)}`];
    }),
  );
}

function caseLines({ server, stage, cases }: ServerCases): string[] {
  return cases.map(({ sockets, verdict, meaning, sentTo }) => {
    const to = sentTo === null ? '' : ` (to ${sentTo})`;
    return `${server}, ${stage}, ${sockets}: ${colors.bold(verdict)}${to}: ${meaning}`;
  });
}

function mtuLines(mtu: MtuArithmetic): string[] {
  const { overhead, inner, outer, underlayMtu, fits, largestInner, largestMss, fullPacketLeavesAs } = mtu;
  return [
    `inner ${inner} leaves as ${outer}: the wrapper takes ${overhead} (IPv4 20, UDP 8, GUE 4, private data 4${overhead > 36 ? `, hops ${overhead - 36}` : ''})`,
    fits
      ? `the underlay's MTU is ${underlayMtu}: it fits`
      : colors.red(`the underlay's MTU is ${underlayMtu}: it does not fit and is dropped`),
    `the largest inner packet is ${largestInner} (TCP: a segment size of ${largestMss})`,
    `inner 1500 leaves as ${fullPacketLeavesAs}: needs an underlay of ${fullPacketLeavesAs}`,
  ];
}

function changeLines({ before, after, effects }: TableChange): string[] {
  return [rowLine('now ', before), rowLine('then', after), ...effects];
}

function rowLine(when: string, { version, bucket, buckets, firstHop, secondHop }: TableRow): string {
  const hop = (dip: number) => (dip === 0 ? 'none' : formatIpv4(dip));
  return `${when} version ${version}, bucket ${bucket} of ${buckets}: first hop ${hop(firstHop)}, second hop ${hop(secondHop)}`;
}

function hopWords(hop: HopDetail | null): string {
  if (hop === null) return 'none';
  return hop.server === null ? `${hop.dip} (no server of the configuration)` : `${hop.dip} (${hop.server})`;
}

/** In groups of four bytes. */
function grouped(hex: string): string {
  return hex.match(/.{1,8}/g)?.join(' ') ?? '';
}

/** As `xxd` and tcpdump -x show bytes: offset, and sixteen bytes a line. */
function hexLines(bytes: Uint8Array): string[] {
  const hex = Buffer.from(bytes).toString('hex');
  return Array.from({ length: Math.ceil(bytes.length / 16) }, (_, line) => {
    const words = hex.slice(32 * line, 32 * line + 32).match(/.{1,4}/g) ?? [];
    return `${(16 * line).toString(16).padStart(4, '0')}  ${words.join(' ')}`;
  });
}
