import type { Change, FollowEvents, Following, Listing } from './store.js';

/** One who follows a prefix: tells everything in order, each thing after whatever is being done now, nothing once closed. */
export class Follower implements Following {
  private closed = false;
  private available = true;
  private readonly queue: (() => void)[] = [];

  constructor(
    readonly prefix: string,
    private readonly events: FollowEvents,
    private readonly onClose: (follower: Follower) => void,
  ) {}

  reset(listing: Listing): void {
    this.tell(() => this.events.reset(listing));
  }

  /** @param changes of the whole store; those under the prefix are told, if any */
  changes(changes: readonly Change[], revision: number): void {
    const ours = changes.filter((change) =>
      (change.type === 'put' ? change.entry.key : change.key).startsWith(this.prefix),
    );
    if (ours.length > 0) this.tell(() => this.events.changes(ours, revision));
  }

  availability(available: boolean, why: string): void {
    if (available === this.available) return;
    this.available = available;
    this.tell(() => this.events.available(available, why));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.onClose(this);
  }

  private tell(event: () => void): void {
    this.queue.push(event);
    // What a listener does (a transaction, say) must not reach others before what it was told about.
    queueMicrotask(() => {
      const next = this.queue.shift();
      if (!this.closed) next?.();
    });
  }
}
