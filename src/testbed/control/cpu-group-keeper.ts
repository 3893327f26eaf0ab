import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CpuGroup, groupsNamed } from './cpu-group.js';

/**
 * The control groups of a demonstration, seen from outside. The kernel ends everything in an enclosure with its first
 * process, but control groups stay; a shell that belongs to nobody waits for the end, however it comes, and removes
 * them.
 */

const PREFIX = 'twohop-';

/**
 * Waits for process $1 to end (nobody may be there to collect it), then for everybody in the directories $2 ... to be
 * gone, which follows at once.
 */
const KEEPER = `
while read -r pid name state rest 2>/dev/null </proc/"$1"/stat && [ "$state" != Z ]; do sleep 0.2; done
shift
for try in $(seq 100); do
  left=
  for directory; do
    rmdir "$directory"/*/ "$directory" 2>/dev/null
    [ ! -d "$directory" ] || left=yes
  done
  [ -n "$left" ] || exit 0
  sleep 0.1
done`;

export class CpuGroupKeeper {
  private keeper: ChildProcess | null = null;

  private constructor(private readonly group: CpuGroup) {}

  /** Makes the outermost group. @throws {TestbedError} when it cannot be made here */
  static make(): CpuGroupKeeper {
    removeStale();
    const name = `${PREFIX}${process.pid}-${randomBytes(3).toString('hex')}`;
    return new CpuGroupKeeper(CpuGroup.make(`/${name}`));
  }

  /** Of the group, for those inside. */
  get path(): string {
    return this.group.path;
  }

  get directories(): readonly string[] {
    return this.group.directories;
  }

  /** From now on the group lives as long as this process. @param pid undefined when it is gone already */
  guard(pid: number | undefined): void {
    if (pid === undefined) {
      this.group.remove();
      return;
    }
    const args = ['-c', KEEPER, 'sh', String(pid), ...this.group.directories];
    this.keeper = spawn('sh', args, { stdio: 'ignore', detached: true });
    this.keeper.unref();
  }

  /** Resolves when the group is gone, after the process that it lived for. */
  async gone(): Promise<void> {
    if (this.keeper === null || this.keeper.exitCode !== null) return;
    this.keeper.ref();
    await once(this.keeper, 'exit');
  }
}

/** Those of demonstrations whose keeper was killed too, and in which nobody is any more. */
function removeStale(): void {
  for (const name of groupsNamed(PREFIX)) {
    const maker = name.slice(PREFIX.length).split('-')[0];
    if (!existsSync(join('/proc', maker))) CpuGroup.at(`/${name}`).remove();
  }
}
