import type { Condition } from './condition.js';

/** What the simulation asks of a way to spread connections. A step is `STEP` seconds. */
export interface Scheme {
  readonly name: string;
  readonly tally: Tally;
  /** Routers and conductor see something new. */
  learn(condition: Condition, at: number): void;
  /** The connections of a server are lost: it fails or starts anew. Who had them connects again at once. */
  lose(server: number, at: number): void;
  /** From the beginning of a step to that of the next. */
  advance(condition: Condition, at: number): void;
  /** Connections of a class on a server at the beginning of step `at`, up to which it has advanced. */
  alive(server: number, kind: number, at: number): number;
}

/** What became of connections, by class. */
export interface Tally {
  /** Their packets went to another server than theirs, because a table or a list of servers changed. */
  readonly byTable: Float64Array;
  /** Their server failed or started anew, or they were begun on one that had failed already. */
  readonly byServer: Float64Array;
}

export function newTally(classes: number): Tally {
  return { byTable: new Float64Array(classes), byServer: new Float64Array(classes) };
}
