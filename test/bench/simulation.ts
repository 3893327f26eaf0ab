import { simulate } from '../../src/simulation/simulate.js';
import type { Row } from './report.js';

/** A simulated day with the real planner: figures of what it achieves, not of time. */

const SECOND_HOP_PERCENT = 1;
const BALANCED_PERCENT = 99;

export function simulationRows(quick: boolean): Row[] {
  const servers = quick ? 50 : 500;
  // Fewer flow groups than `twohop simulate` has: nobody balances by them, and their noise is still small.
  const result = simulate({ servers, hours: 24, seed: 1, groups: quick ? 2 ** 16 : 2 ** 18 });
  const notes = [`24 hours of ${servers} servers, seed 1; more of it: twohop simulate --servers ${servers}`];
  const balanced = 100 * result.schemes[0].balanced;
  const secondHop = 100 * result.secondHop.mean;
  return [
    {
      name: 'simulated day, second hops',
      unit: '% of packets',
      js: one(secondHop),
      bar: `< ${SECOND_HOP_PERCENT} %`,
      pass: secondHop < SECOND_HOP_PERCENT,
      notes,
    },
    {
      name: 'simulated day, load within 5 % of the mean',
      unit: '% of server-minutes',
      js: one(balanced),
      bar: `>= ${BALANCED_PERCENT} %`,
      pass: balanced >= BALANCED_PERCENT,
    },
    ...result.schemes.map(({ name, brokenByTable }) => ({
      name: `simulated day, broken by ${name}`,
      unit: 'connections',
      js: one(brokenByTable.reduce((sum, broken) => sum + broken, 0)),
      notes: [
        result.classes.map((kind, index) => `${kind.name} ${Math.round(brokenByTable[index])}`).join(', '),
      ],
    })),
  ];
}

function one(value: number): Row['js'] {
  return { min: value, median: value, max: value };
}
