import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Builds `dist/` once before all tests: those that run the command line tool, a node or a testbed start real
 * processes, and must not meet yesterday's build.
 */
export default function setup(): void {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const build = spawnSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { cwd: root, encoding: 'utf8' });
  // What is not typed right is the type check's business; the compiler has written its output all the same.
  if (build.status !== 0) process.stderr.write(`the build has errors:\n${build.stdout}${build.stderr}\n`);
}
