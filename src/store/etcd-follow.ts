import { setTimeout as sleep } from 'node:timers/promises';
import type { IWatchResponse } from 'etcd3';
import { type EtcdClient, isOwnKey } from './etcd-client.js';
import type { Follower } from './follower.js';
import type { Change } from './store.js';

/** Between two attempts to follow on. */
const AGAIN_MS = 100;

interface Position {
  /** Of the data that it is a position in. */
  readonly id: string;
  /** Everything up to this revision has been told. */
  revision: number;
}

/** Why a watch ended: whether what followed can be followed on, or must be read anew. */
type End = 'broken' | 'lost';

/** Follows one prefix, through restarts, compaction and loss of data. */
export class EtcdFollow {
  private position: Position | null = null;
  private stop: () => void = () => {};
  private closed = false;

  constructor(
    private readonly client: EtcdClient,
    private readonly follower: Follower,
    private readonly heard: () => void,
    /** Something broke: see whether etcd is there. */
    private readonly doubt: () => void,
  ) {
    void this.run();
  }

  close(): void {
    this.closed = true;
    this.stop();
  }

  private async run(): Promise<void> {
    while (!this.closed) {
      try {
        await this.begin();
        if (this.closed || this.position === null) return;
        if ((await this.watch(this.position)) === 'lost') this.position = null;
        else this.doubt();
      } catch {
        // The store says that it is away.
        this.doubt();
      }
      if (!this.closed) await sleep(AGAIN_MS);
    }
  }

  /** Sees whether the data is still the same, and reads all of it where not. */
  private async begin(): Promise<void> {
    const { id, revision } = await this.client.identity();
    if (this.position !== null && id === this.position.id && revision >= this.position.revision) return;
    const listing = await this.client.list(this.follower.prefix);
    if (this.closed) return;
    this.position = { id, revision: listing.revision };
    this.follower.reset(listing);
  }

  /** Tells changes from the position on, until that comes to an end. */
  private async watch(position: Position): Promise<End> {
    const { client, follower } = this;
    const stream = await client.etcd.watchClient.watch();
    return new Promise((resolve) => {
      let over = false;
      const end = (why: End) => {
        if (over) return;
        over = true;
        this.stop = () => {};
        stream.cancel();
        resolve(why);
      };
      this.stop = () => end('broken');
      stream.on('data', (response: IWatchResponse) => {
        if (over) return;
        this.heard();
        const revision = Number(response.header.revision);
        // Compaction went past us, or the past that we know is not there: etcd would wait for it without a word.
        if (response.canceled || (response.created && revision < position.revision)) {
          end(Number(response.compact_revision) > 0 || !response.canceled ? 'lost' : 'broken');
          return;
        }
        if (response.created) return;
        // Without events, it says how far it has looked; with some, there may be more to come of later revisions.
        const told = response.events.at(-1)?.kv.mod_revision ?? revision;
        position.revision = Math.max(position.revision, Number(told));
        follower.changes(this.changesOf(response), position.revision);
      });
      stream.on('error', () => end('broken'));
      stream.on('end', () => end('broken'));
      if (this.closed) end('broken');
      else {
        stream.write({
          create_request: {
            key: client.bytesOf(follower.prefix),
            range_end: client.endOf(follower.prefix),
            start_revision: position.revision + 1,
            progress_notify: true,
          },
        });
      }
    });
  }

  private changesOf({ events }: IWatchResponse): Change[] {
    return events
      .map((event): Change => {
        if (`${event.type}`.toUpperCase() !== 'DELETE') {
          return { type: 'put', entry: this.client.entryOf(event.kv) };
        }
        return {
          type: 'delete',
          key: this.client.keyOf(event.kv.key),
          revision: Number(event.kv.mod_revision),
        };
      })
      .filter((change) => !isOwnKey(change.type === 'put' ? change.entry.key : change.key));
  }
}
