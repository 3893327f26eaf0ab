import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Events of one save come in a burst; reading once after it is enough. */
const SETTLE_MS = 20;
/** Where the kernel reports nothing (a network file system, a directory made later), look this often. */
const LOOK_MS = 1000;

export interface FileFollowerEvents {
  /** The file is another one, or was written: time to read it. */
  changed(): void;
  /** There is none, or none any more, or it cannot be looked at. @param why for people */
  missing(why: string): void;
}

/** Notices that a file was replaced or rewritten: at once where the kernel tells, within a second elsewhere. */
export class FileFollower {
  private watcher: FSWatcher | null = null;
  private settle: NodeJS.Timeout | null = null;
  private readonly look: NodeJS.Timeout;
  /** Identity of the file last seen, or why there was none; null before the first look. */
  private seen: string | null = null;

  constructor(
    readonly path: string,
    private readonly events: FileFollowerEvents,
  ) {
    this.look = setInterval(() => this.check(), LOOK_MS);
    this.look.unref();
  }

  close(): void {
    clearInterval(this.look);
    if (this.settle !== null) clearTimeout(this.settle);
    this.watcher?.close();
    this.watcher = null;
  }

  /** Tells of the file if it is not the one last seen. @param force even then */
  check(force = false): void {
    this.watchDirectory();
    const identity = identityOf(this.path);
    const seen = typeof identity === 'string' ? identity : `! ${identity.why}`;
    if (seen === this.seen && !force) return;
    this.seen = seen;
    if (typeof identity === 'string') this.events.changed();
    else this.events.missing(identity.why);
  }

  /** The directory is watched, not the file: a replaced file is another inode. */
  private watchDirectory(): void {
    if (this.watcher !== null) return;
    try {
      const name = basename(this.path);
      const watcher = watch(dirname(this.path), (_event, changed) => {
        if (changed === null || changed === name) this.soon();
      });
      watcher.on('error', () => {
        watcher.close();
        this.watcher = null;
      });
      this.watcher = watcher;
    } catch {
      // No such directory yet: the timer looks again.
    }
  }

  private soon(): void {
    if (this.settle !== null) return;
    this.settle = setTimeout(() => {
      this.settle = null;
      this.check();
    }, SETTLE_MS);
  }
}

/** Changes whenever the file is replaced or rewritten. The directory may be another program's, with anything in it. */
function identityOf(path: string): string | { readonly why: string } {
  try {
    const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
    if (stat === undefined) return { why: 'no such file' };
    return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
  } catch (error) {
    return { why: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}
