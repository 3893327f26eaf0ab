import { Draws } from './random.js';

/** The servers of a simulated data center. */

export interface SimulatedServer {
  readonly name: string;
  /** Host-order IPv4 address. */
  readonly dip: number;
  readonly generation: string;
  /** What the operator takes its capacity for; the weight in all schemes that have weights. */
  readonly nominal: number;
  /** What it really can do: nobody knows, but its load shows. */
  readonly capacity: number;
  /** CPU load that does not come from connections. */
  readonly background: number;
  /** There from the beginning; the others are added in the course of the day. */
  readonly initial: boolean;
}

interface Generation {
  readonly name: string;
  readonly nominal: number;
  readonly share: number;
}

export const GENERATIONS: readonly Generation[] = [
  { name: 'generation 1', nominal: 1, share: 0.4 },
  { name: 'generation 2', nominal: 1.5, share: 0.35 },
  { name: 'generation 3', nominal: 2.2, share: 0.25 },
];

/** True capacity is nominal capacity times `exp(normal * this)`. */
const EFFICIENCY_SPREAD = 0.08;
const FIRST_DIP = 0x0a000001;

/** @param added servers of the newest generation that are not there from the beginning */
export function buildServers(count: number, added: number, seed: number): SimulatedServer[] {
  const draws = new Draws(seed);
  return Array.from({ length: count + added }, (_, index) => {
    const generation = index < count ? generationAt((index * 0.618034) % 1) : GENERATIONS[2];
    return {
      name: `server-${String(index + 1).padStart(3, '0')}`,
      dip: FIRST_DIP + index,
      generation: generation.name,
      nominal: generation.nominal,
      capacity: generation.nominal * Math.exp(EFFICIENCY_SPREAD * draws.normal()),
      background: 0.01 + 0.02 * draws.uniform(),
      initial: index < count,
    };
  });
}

/** Generations stand mixed, as racks are filled over the years. */
function generationAt(position: number): Generation {
  let upTo = 0;
  for (const generation of GENERATIONS) {
    upTo += generation.share;
    if (position < upTo) return generation;
  }
  return GENERATIONS[GENERATIONS.length - 1];
}
