import { parseArgs } from 'node:util';
import { LOOK_AROUND_TOOLS, PACKAGES, TESTBED_TOOLS, type Tool } from './requirements.js';
import { DEFAULT_SUITE, SUITES } from './suites/index.js';

/**
 * For the scripts that install what is missing: prints `COMMAND PACKAGE` for each command that is called.
 * @param args `tests` for those of all demonstrations; or `demo` and the arguments of `twohop demo`
 */
export function printNeeds(args: readonly string[]): void {
  const tools = args[0] === 'tests' ? SUITES.flatMap((suite) => suite.tools) : toolsOfDemo(args.slice(1));
  if (tools === null) return;
  for (const tool of new Set([...TESTBED_TOOLS, ...tools])) {
    process.stdout.write(`${tool} ${PACKAGES[tool]}\n`);
  }
}

/** @returns null when nothing would be demonstrated: help is asked for, or `twohop demo` will refuse the arguments */
function toolsOfDemo(args: readonly string[]): readonly Tool[] | null {
  const demo = parseDemo(args);
  if (demo === null || demo.values.help === true || demo.positionals.length > 1) return null;
  const [name = DEFAULT_SUITE.name] = demo.positionals;
  const suite = SUITES.find((one) => one.name === name);
  if (suite === undefined) return null;
  return [...suite.tools, ...(demo.values.keep === true ? LOOK_AROUND_TOOLS : [])];
}

function parseDemo(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        servers: { type: 'string' },
        'failure-mode': { type: 'string' },
        keep: { type: 'boolean' },
        chart: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch {
    return null;
  }
}
