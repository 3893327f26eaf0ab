import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's root: two levels above this file, in `src/` and in `dist/` alike. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The command line tool, for the nodes. */
export const CLI_ENTRY = join(ROOT, 'dist/cli/main.js');

/** The testbed's own processes; apart from the CLI, so that starting one loads little. */
export const PROCESS_ENTRY = join(ROOT, 'dist/testbed/process.js');
