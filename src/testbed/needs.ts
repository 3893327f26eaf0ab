import { PACKAGES } from './requirements.js';
import { DEFAULT_SUITE, SUITES } from './suites/index.js';

/**
 * For the scripts that install what is missing: prints `COMMAND PACKAGE` for each command that a demonstration calls.
 * @param args `all`, or the arguments of `twohop demo`, of which one may name the demonstration
 */
export function printNeeds(args: readonly string[]): void {
  const suite = SUITES.find(({ name }) => args.includes(name)) ?? DEFAULT_SUITE;
  const suites = args.includes('all') ? SUITES : [suite];
  const tools = new Set(suites.flatMap((one) => one.tools));
  for (const tool of tools) process.stdout.write(`${tool} ${PACKAGES[tool]}\n`);
}
