import type { Logger } from 'pino';
import { conductorRecord, decodeRecord, encodeRecord, Keys } from '../store/records.js';
import { type Entry, type Following, type Lease, type Store, StoreError } from '../store/store.js';
import { Bell, type Clock, pause } from './clock.js';

/**
 * Who leads. Each conductor promises to be alive (a lease) and tries to make the key `leader` with it; the store lets
 * one of them. The key goes with the lease of who made it, and the others try again.
 *
 * A leader that was stopped for a while may not know yet that its time is over. It does no harm: every write of its
 * term is bound to the very key that it made ({@link Term.guard}), and the store refuses it once that key is gone.
 */

/** From being elected to being deposed. */
export interface Term {
  /** To be among the comparisons of every write. */
  readonly guard: { readonly key: string; readonly created: number };
  /** False from the moment at which another may lead, by our own clock. */
  readonly valid: boolean;
  /** What goes with the term, such as our presence. */
  readonly lease: Lease;
}

export interface LeadershipEvents {
  /** We lead. Called once per term, and followed by {@link deposed}. */
  elected(term: Term): void;
  /** We do not lead any more; whatever is under way must stop. */
  deposed(why: string): void;
  /** Somebody leads, or nobody. Also called for ourselves. */
  leader(name: string | null): void;
}

export interface LeadershipOptions {
  readonly name: string;
  readonly leaseSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Between two attempts to reach a store that is away. */
const RETRY_MS = 200;
/** Between two attempts to show our presence under a name that is taken. */
const PRESENCE_RETRY_MS = 1000;

export class Leadership {
  private following: Following | null = null;
  /** As last told by the store. */
  private leader: Entry | null = null;
  /** Revision at which that was so. */
  private seen = 0;
  private told: string | null | undefined;
  private term: (Term & { readonly created: number }) | null = null;
  private lease: Lease | null = null;
  private stopping = false;
  private readonly bell = new Bell();
  private running: Promise<void> = Promise.resolve();
  private unreachable = '';
  private nameTaken = false;

  constructor(
    private readonly store: Store,
    private readonly options: LeadershipOptions,
    private readonly events: LeadershipEvents,
  ) {}

  start(): void {
    this.following = this.store.follow(Keys.leader, {
      reset: ({ entries, revision }) => {
        this.see(entries.find(({ key }) => key === Keys.leader) ?? null, revision);
      },
      changes: (changes, revision) => {
        for (const change of changes) {
          if (change.type === 'put' && change.entry.key === Keys.leader) this.see(change.entry, revision);
          if (change.type === 'delete' && change.key === Keys.leader) this.see(null, revision);
        }
      },
      available: () => {},
    });
    this.running = this.run();
  }

  /** Gives leadership up at once, so that nobody has to wait for the lease to run out. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.depose('it was asked to stop');
    this.bell.ring();
    await this.running;
    this.following?.close();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        this.lease = await this.store.lease(this.options.leaseSeconds);
        this.reachable();
        await this.candidacy(this.lease);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.cannotReach(error);
      }
      this.depose('its lease ran out');
      await this.lease?.revoke().catch(() => {
        // It runs out by itself.
      });
      this.lease = null;
      if (!this.stopping) await pause(this.options.clock, RETRY_MS);
    }
  }

  /** For as long as the lease holds. @throws StoreError */
  private async candidacy(lease: Lease): Promise<void> {
    let lost = false;
    void lease.lost.then(() => {
      lost = true;
      this.depose('its lease ran out');
      this.bell.ring();
    });
    let present = false;
    while (!lost && !this.stopping) {
      if (!present) present = await this.showPresence(lease);
      if (this.term === null && this.leader === null) await this.campaign(lease);
      if (this.term !== null && !lease.valid) return;
      // Nothing to do until something is told; now and then in case the key has gone since the campaign.
      await this.bell.rung(this.options.clock, PRESENCE_RETRY_MS);
    }
  }

  private async campaign(lease: Lease): Promise<void> {
    const record = encodeRecord({ name: this.options.name, since: this.isoTime() });
    const put = { key: Keys.leader, value: record, lease };
    let created: number;
    try {
      const result = await this.store.transact({
        compare: [{ key: Keys.leader, created: 0 }],
        puts: [put],
      });
      if (!result.done) return;
      created = result.revision;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'uncertain') throw error;
      const entry = await this.store.get(Keys.leader);
      if (entry === null || !Buffer.from(entry.value).equals(record)) return;
      created = entry.created;
    }
    if (this.stopping || !lease.valid) return;
    this.term = {
      created,
      guard: { key: Keys.leader, created },
      lease,
      get valid() {
        return lease.valid;
      },
    };
    this.events.elected(this.term);
  }

  /** @returns whether our name is in the store's list of conductors now */
  private async showPresence(lease: Lease): Promise<boolean> {
    const { name, log } = this.options;
    const key = Keys.conductor(name);
    const value = encodeRecord({ name, since: this.isoTime() });
    const { done } = await this.store.transact({
      compare: [{ key, created: 0 }],
      puts: [{ key, value, lease }],
    });
    if (!done && !this.nameTaken) {
      log.warn(
        `a conductor named ${name} is there already: a former life of this one, which is forgotten in a moment, or ` +
          'another process; give each its own --name',
      );
    }
    this.nameTaken = !done;
    return done;
  }

  private see(leader: Entry | null, revision: number): void {
    this.leader = leader;
    this.seen = revision;
    const name =
      leader === null
        ? null
        : (decodeRecord(conductorRecord, leader.value)?.name ?? 'unknown to this release');
    if (name !== this.told) {
      this.told = name;
      this.events.leader(name);
    }
    // What was told before we were elected says nothing about our term.
    if (this.term !== null && this.seen > this.term.created && leader?.created !== this.term.created) {
      this.depose(leader === null ? 'its key is gone from the store' : `${name} leads`);
    }
    this.bell.ring();
  }

  private depose(why: string): void {
    if (this.term === null) return;
    this.term = null;
    this.events.deposed(why);
  }

  /** The guard of our term was refused by the store: we do not lead, whatever we thought. */
  refused(term: Term): void {
    if (this.term !== term) return;
    this.depose('the store refused its write: another leads, or its key is gone');
    this.bell.ring();
  }

  private isoTime(): string {
    return new Date(this.options.clock.unix()).toISOString();
  }

  private reachable(): void {
    if (this.unreachable === '') return;
    this.unreachable = '';
    this.options.log.info('stands for election again');
  }

  private cannotReach(error: StoreError): void {
    if (this.unreachable === error.code) return;
    this.unreachable = error.code;
    this.options.log.error({ code: error.code }, `cannot stand for election: ${error.message}`);
  }
}
