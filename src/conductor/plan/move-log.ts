import type { Fleet } from './fleet.js';
import type { Move, MoveKind, Rule } from './types.js';

const RULES: readonly Rule[] = ['gone', 'health', 'drain', 'join', 'weight', 'balance'];
const KINDS: readonly MoveKind[] = ['swap', 'handover', 'replace', 'move', 'clear'];

/** What was done in a step, bucket by bucket, to be told by rule, kind and servers. */
export class MoveLog {
  /** One number for each that is done, which says rule, kind, from and to. */
  private readonly keys: number[] = [];
  private readonly servers: number;

  /** @param fleet all of whose servers are known by now */
  constructor(private readonly fleet: Fleet) {
    this.servers = fleet.size;
  }

  add(rule: Rule, kind: MoveKind, from: number, to: number): void {
    const ruleAndKind = RULES.indexOf(rule) * KINDS.length + KINDS.indexOf(kind);
    this.keys.push((ruleAndKind * this.servers + from) * this.servers + to);
  }

  /** By rule, kind, from and to, in the order of rules and kinds above and of addresses. */
  moves(): Move[] {
    const sorted = Float64Array.from(this.keys).sort();
    const moves: Move[] = [];
    let begin = 0;
    for (let end = 1; end <= sorted.length; end++) {
      if (sorted[end] === sorted[begin]) continue;
      moves.push(this.move(sorted[begin], end - begin));
      begin = end;
    }
    return moves;
  }

  private move(key: number, buckets: number): Move {
    const { servers } = this;
    const { dips } = this.fleet;
    const to = key % servers;
    const from = ((key - to) / servers) % servers;
    const ruleAndKind = Math.floor(key / servers / servers);
    return {
      rule: RULES[Math.floor(ruleAndKind / KINDS.length)],
      kind: KINDS[ruleAndKind % KINDS.length],
      from: dips[from],
      to: dips[to],
      buckets,
    };
  }
}
