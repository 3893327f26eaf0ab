import type { LineChart } from '../../chart/chart.js';
import type { DataCenter } from '../data-center.js';

/** One step of the demonstration: does something to a data center, and says whether the promise held. */
export interface Scenario {
  /** For programs: `drain`. */
  readonly name: string;
  /** For people: what is done. */
  readonly title: string;
  /**
   * Leaves the data center as it found it: all servers in the table, all routes in place, all nodes up.
   * @param earlier results of the steps before, to compare with
   * @throws {TestbedError} when it could not be carried out; the data center is in an unknown state then
   */
  run(dataCenter: DataCenter, earlier: readonly ScenarioResult[]): Promise<Finding>;
}

export interface Finding {
  readonly held: boolean;
  /** What was seen, in a few short lines. */
  readonly lines: readonly string[];
  /** Why it did not hold; empty when it did. */
  readonly reasons: readonly string[];
  /** The numbers behind the lines, for programs. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** For people: drawn in a terminal and as a file. */
  readonly chart?: LineChart;
}

export type Figure = number | string | readonly string[] | Readonly<Record<string, number>>;

export interface ScenarioResult extends Finding {
  readonly name: string;
  readonly title: string;
  readonly seconds: number;
}

/** Collects what must be true, and in which words it was not. */
export class Judgement {
  readonly reasons: string[] = [];

  expect(condition: boolean, otherwise: string): void {
    if (!condition) this.reasons.push(otherwise);
  }

  finding(lines: readonly string[], figures: Readonly<Record<string, Figure>>): Finding {
    return { held: this.reasons.length === 0, lines, reasons: this.reasons, figures };
  }
}
