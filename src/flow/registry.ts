import type { FlowDissector } from './dissector.js';
import { fourTuple } from './four-tuple.js';

const dissectors: readonly FlowDissector[] = [fourTuple];

export const DISSECTOR_NAMES: readonly string[] = dissectors.map((dissector) => dissector.name);

/** The dissector of that name, or undefined. */
export function findDissector(name: string): FlowDissector | undefined {
  return dissectors.find((dissector) => dissector.name === name);
}
