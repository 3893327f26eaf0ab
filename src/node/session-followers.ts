import { buildSessions, MAX_SESSIONS, type SharedSessions } from '../path/session-set.js';
import { TableError } from '../table/errors.js';
import { readSessions } from '../table/session-file.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { ConfigError } from '../table/yaml.js';
import { FileFollower } from './file-follower.js';
import { InUse } from './in-use.js';

export interface SessionFollowerEvents {
  /** A new set, read and built. */
  sessions(trafficset: string, sessions: SharedSessions): void;
  /** A file that was not taken, and why; the old set stays in use. */
  refused(trafficset: string, reason: string, message: string): void;
}

interface Followed {
  readonly file: FileFollower;
  current: SharedSessions | null;
  /** Number of sessions. */
  readonly inUse: InUse;
}

/** Follows the session files of all trafficsets that have one, on one server. */
export class SessionFollowers {
  private readonly followed = new Map<string, Followed>();

  /** @param server its name, for `{name}` in paths */
  constructor(
    private readonly server: string,
    private readonly events: SessionFollowerEvents,
  ) {}

  /** Follows the files of these trafficsets, and no others. */
  follow(trafficsets: readonly TrafficsetConfig[]): void {
    const wanted = new Map(
      trafficsets.flatMap(({ name, sessions }) =>
        sessions === undefined ? [] : [[name, sessions.replaceAll('{name}', this.server)] as const],
      ),
    );
    for (const [name, { file }] of this.followed) {
      if (wanted.get(name) === file.path) continue;
      file.close();
      this.followed.delete(name);
    }
    for (const [name, path] of wanted) {
      if (!this.followed.has(name)) this.start(name, path);
      else this.followed.get(name)?.file.check(true);
    }
  }

  /** The sessions in use; null before the first set, and for a trafficset without. */
  current(trafficset: string): SharedSessions | null {
    return this.followed.get(trafficset)?.current ?? null;
  }

  /** Notes that the workers were told of the current set of a trafficset. */
  told(trafficset: string, sequence: number): void {
    const followed = this.followed.get(trafficset);
    if (followed?.current != null) followed.inUse.tell(sequence, followed.current.size);
  }

  /** The number of sessions that all workers use, by trafficset; -1 before the first set. */
  sizes(taken: number): { readonly trafficset: string; readonly sessions: number }[] {
    return [...this.followed].map(([trafficset, { inUse }]) => ({ trafficset, sessions: inUse.get(taken) }));
  }

  close(): void {
    for (const { file } of this.followed.values()) file.close();
  }

  private start(name: string, path: string): void {
    const file = new FileFollower(path, {
      changed: () => this.read(name, path),
      // A service that has not started yet has no sessions; one that went away has none any more, once it says so.
      missing: () => this.events.refused(name, 'missing', `${path}: no such file; waiting for it`),
    });
    this.followed.set(name, { file, current: null, inUse: new InUse(-1) });
    file.check();
  }

  private read(name: string, path: string): void {
    const followed = this.followed.get(name);
    if (followed === undefined) return;
    try {
      const keys = readSessions(path);
      if (keys.length > MAX_SESSIONS) {
        throw new TableError(
          'too-many-sessions',
          `${path}: ${keys.length} sessions, more than ${MAX_SESSIONS}: spread them over more servers`,
        );
      }
      followed.current = buildSessions(keys);
    } catch (error) {
      if (!(error instanceof TableError || error instanceof ConfigError)) throw error;
      const reason = error instanceof TableError ? error.code : 'unreadable';
      this.events.refused(name, reason, error.message);
      return;
    }
    this.events.sessions(name, followed.current);
  }
}
