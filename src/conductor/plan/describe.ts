import { formatIpv4 } from '../../table/address.js';
import { holderOf, newcomerOf } from './rows.js';
import type { HopScheme, Move, MoveKind, Plan, PlannerState } from './types.js';

/** Plans in words and figures. */

const KIND_WORDS: Readonly<Record<MoveKind, string>> = {
  swap: 'swaps',
  handover: 'handovers',
  replace: 'with the older second hop pushed out',
  move: 'moved',
  clear: 'cleared',
};

/** More servers than this are told in one line together. */
const MOST_LINES = 8;

/**
 * What each rule did, a line for each server that it is about: `drain: 1024 buckets from s1 to s2, s3, s4: 700 swaps, 324
 * handovers; nothing breaks`. About many servers there is one line.
 *
 * @param names of servers by DIP; one without a name is told by its address
 */
export function describeMoves({ moves }: Plan, names: ReadonlyMap<number, string>): string[] {
  const name = (dip: number) => names.get(dip) ?? formatIpv4(dip);
  const rules = groupBy(moves, ({ rule, kind }) => `${rule} ${kind === 'clear'}`);
  return rules.flatMap((rule) => {
    const servers = groupBy(rule, serverOf);
    return (servers.length > MOST_LINES ? [rule] : servers).map((group) => describeGroup(group, name));
  });
}

/** Whom a move is about; 0 where it is about nobody more than others. */
function serverOf({ rule, from, to }: Move): number {
  if (rule === 'join') return to;
  return rule === 'weight' || rule === 'balance' ? 0 : from;
}

function groupBy<Value, Key>(values: readonly Value[], keyOf: (value: Value) => Key): Value[][] {
  const groups = new Map<Key, Value[]>();
  for (const value of values) {
    const group = groups.get(keyOf(value));
    if (group === undefined) groups.set(keyOf(value), [value]);
    else group.push(value);
  }
  return [...groups.values()];
}

function describeGroup(group: readonly Move[], name: (dip: number) => string): string {
  const buckets = group.reduce((sum, move) => sum + move.buckets, 0);
  const names = (dips: readonly number[]) => list([...new Set(dips)].map(name));
  const from = names(group.map((move) => move.from));
  if (group[0].kind === 'clear') {
    return `${group[0].rule}: ${from} leaves the second hop of ${count(buckets, 'bucket')}`;
  }
  const kinds = new Map<MoveKind, number>();
  for (const { kind, buckets } of group) kinds.set(kind, (kinds.get(kind) ?? 0) + buckets);
  const how = [...kinds].map(([kind, number]) => `${number} ${KIND_WORDS[kind]}`).join(', ');
  const broken = kinds.get('replace') ?? 0;
  const breaks = broken === 0 ? 'nothing breaks' : `what is left of older flows breaks in ${broken} of them`;
  const to = names(group.map((move) => move.to));
  return `${group[0].rule}: ${count(buckets, 'bucket')} from ${from} to ${to}: ${how}; ${breaks}`;
}

/** Buckets whose holder was pushed out: what was left of its flows there breaks. */
export function breaks({ moves }: Plan): number {
  return moves.reduce((sum, { kind, buckets }) => sum + (kind === 'replace' ? buckets : 0), 0);
}

export interface SecondHopShare {
  readonly buckets: number;
  /** Buckets with a second hop. */
  readonly before: number;
  readonly after: number;
  /** Buckets whose established flows took one hop before (or none were there) and take two now. */
  readonly moved: number;
}

/**
 * What a change does to the number of hops: flows of a server that was first hop and is second now take both.
 * @param after a later state of the same table
 */
export function secondHopShare(
  before: Pick<PlannerState, 'slots'>,
  after: Pick<PlannerState, 'slots'>,
): SecondHopShare {
  const share = { buckets: before.slots.length / 2, before: 0, after: 0, moved: 0 };
  for (let at = 0; at < before.slots.length; at += 2) {
    if (before.slots[at + 1] !== 0) share.before++;
    if (after.slots[at + 1] !== 0) share.after++;
    if (before.slots[at] === after.slots[at + 1]) share.moved++;
  }
  return share;
}

/** Of one server. */
export interface BucketShare {
  /** Buckets in which it gets new flows. */
  readonly newFlows: number;
  /** Buckets in which it only keeps old ones. */
  readonly oldFlows: number;
}

/** Who has how many buckets, by DIP. */
export function shares({ slots }: Pick<PlannerState, 'slots'>, scheme: HopScheme): Map<number, BucketShare> {
  const newFlows = new Map<number, number>();
  const oldFlows = new Map<number, number>();
  for (let bucket = 0; 2 * bucket < slots.length; bucket++) {
    increment(newFlows, newcomerOf(scheme, slots, bucket));
    increment(oldFlows, holderOf(scheme, slots, bucket));
  }
  const dips = [...new Set([...newFlows.keys(), ...oldFlows.keys()])].filter((dip) => dip !== 0);
  return new Map(
    dips
      .sort((a, b) => a - b)
      .map((dip) => [dip, { newFlows: newFlows.get(dip) ?? 0, oldFlows: oldFlows.get(dip) ?? 0 }]),
  );
}

function increment(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** `s1, s2, s3 and 12 others` */
export function list(names: readonly string[], most = 4): string {
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} others`;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}
