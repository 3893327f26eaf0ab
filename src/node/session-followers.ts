import { createHash } from 'node:crypto';
import { buildSessions, MAX_SESSIONS, type SharedSessions } from '../path/session-set.js';
import { TableError } from '../table/errors.js';
import { parseSessions } from '../table/session-file.js';
import type { TrafficsetConfig } from '../table/trafficset.js';
import { readText } from '../table/yaml.js';
import { FileFollower } from './file-follower.js';
import { InUse } from './in-use.js';

export interface SessionFollowerEvents {
  /** A new set, read and built. */
  sessions(trafficset: string): void;
  /** A file that was not taken, and why; the old set stays in use. */
  refused(trafficset: string, reason: string, message: string): void;
}

interface Followed {
  readonly file: FileFollower;
  current: SharedSessions | null;
  /** Of the text that `current` was made of. */
  digest: string;
  /** Number of sessions. */
  readonly inUse: InUse;
  /** Memory of sets that were replaced, and the workers have not been told so. */
  readonly replaced: SharedArrayBuffer[];
  /** The same once they were told, with the number of the message: free when every worker has taken that. */
  readonly spare: { readonly memory: SharedArrayBuffer; readonly after: number }[];
}

/**
 * Follows the session files of all trafficsets that have one, on one server.
 *
 * The memory of sets is used again: a worker hardly allocates, so that its garbage collector would let go of shared
 * memory much later than sets are published.
 */
export class SessionFollowers {
  private readonly followed = new Map<string, Followed>();

  /**
   * @param server its name, for `{name}` in paths
   * @param taken the last message that every worker has taken
   */
  constructor(
    private readonly server: string,
    private readonly taken: () => number,
    private readonly events: SessionFollowerEvents,
  ) {}

  /** Follows the files of these trafficsets, and no others. A set stays in use until something better is read. */
  follow(trafficsets: readonly TrafficsetConfig[]): void {
    const wanted = new Map(
      trafficsets.flatMap(({ name, sessions }) =>
        sessions === undefined ? [] : [[name, sessions.replaceAll('{name}', this.server)] as const],
      ),
    );
    const before = new Map(this.followed);
    for (const [name, { file }] of before) {
      if (wanted.get(name) === file.path) continue;
      file.close();
      this.followed.delete(name);
    }
    for (const [name, path] of wanted) {
      const followed = this.followed.get(name);
      if (followed === undefined) this.start(name, path, before.get(name));
      else followed.file.check(true);
    }
  }

  /** The sessions in use; null before the first set, and for a trafficset without. */
  current(trafficset: string): SharedSessions | null {
    return this.followed.get(trafficset)?.current ?? null;
  }

  /** Notes that the workers were told of the current set of a trafficset. */
  told(trafficset: string, sequence: number): void {
    const followed = this.followed.get(trafficset);
    if (followed?.current == null) return;
    followed.inUse.tell(sequence, followed.current.size);
    for (const memory of followed.replaced.splice(0)) followed.spare.push({ memory, after: sequence });
  }

  /** The number of sessions that all workers use, by trafficset; -1 before the first set. */
  sizes(): { readonly trafficset: string; readonly sessions: number }[] {
    return [...this.followed].map(([trafficset, { inUse }]) => ({
      trafficset,
      sessions: inUse.get(this.taken()),
    }));
  }

  close(): void {
    for (const { file } of this.followed.values()) file.close();
  }

  private start(name: string, path: string, before: Followed | undefined): void {
    const file = new FileFollower(path, {
      changed: () => this.read(name, path),
      // A service that has not started yet has no sessions; one that went away has none any more, once it says so.
      missing: (why) => this.events.refused(name, 'missing', `${path}: ${why}; waiting for it`),
    });
    const fresh = { current: null, digest: '', inUse: new InUse(-1), replaced: [], spare: [] };
    this.followed.set(name, { ...(before ?? fresh), file });
    file.check();
  }

  private read(name: string, path: string): void {
    const followed = this.followed.get(name);
    if (followed === undefined) return;
    try {
      const text = readText(path);
      const digest = createHash('sha256').update(text).digest('hex');
      if (digest === followed.digest) return;
      const keys = parseSessions(text, path);
      if (keys.length > MAX_SESSIONS) {
        throw new TableError(
          'too-many-sessions',
          `${path}: ${keys.length} sessions, more than ${MAX_SESSIONS}: spread them over more servers`,
        );
      }
      const sessions = buildSessions(keys, (bytes) => this.memoryOf(followed, bytes));
      if (followed.current !== null) followed.replaced.push(memoryIn(followed.current));
      followed.current = sessions;
      followed.digest = digest;
    } catch (error) {
      const reason = error instanceof TableError ? error.code : 'unreadable';
      this.events.refused(name, reason, error instanceof Error ? error.message : String(error));
      return;
    }
    this.events.sessions(name);
  }

  private memoryOf({ spare }: Followed, bytes: number): SharedArrayBuffer {
    const taken = this.taken();
    const index = spare.findIndex(({ memory, after }) => after <= taken && memory.byteLength >= bytes);
    if (index >= 0) return spare.splice(index, 1)[0].memory;
    // What has become too small is of no use any more.
    const kept = spare.filter(({ memory }) => memory.byteLength >= bytes);
    spare.splice(0, spare.length, ...kept);
    return new SharedArrayBuffer(bytes);
  }
}

function memoryIn({ words }: SharedSessions): SharedArrayBuffer {
  if (!(words.buffer instanceof SharedArrayBuffer)) throw new TypeError('sessions are not in shared memory');
  return words.buffer;
}
