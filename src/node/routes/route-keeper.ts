import type { Prefix } from '../../table/address.js';
import { uncoveredPrefixes } from '../../table/prefix-set.js';
import type { RouteAnnouncer, RouteState } from './announcer.js';

/** Has the routes announced while the node may take packets, and withdrawn while it may not. */
export class RouteKeeper {
  private last: readonly Prefix[] = [];
  private why = '';
  private stopping = false;

  constructor(
    private readonly announcer: RouteAnnouncer,
    /** The prefixes to announce, or why there are none now. */
    private readonly wanted: () => readonly Prefix[] | string,
    private readonly log: (message: string) => void,
  ) {}

  get state(): RouteState {
    return this.announcer.state;
  }

  /** Looks again. Resolves when the router was told of what is different. */
  async update(): Promise<void> {
    if (this.stopping || this.announcer.state === 'none') return;
    const wanted = this.wanted();
    if (typeof wanted === 'string') {
      await this.tell([], wanted);
      return;
    }
    // Others of the same addresses come before those they replace go: no packet finds neither.
    if (same(wanted, this.last)) return;
    const kept = new Set(wanted.map(String));
    const replaced = this.last.filter((prefix) => !kept.has(prefix.toString()));
    if (replaced.length > 0) await this.tell([...replaced, ...wanted], '');
    await this.tell(wanted, '');
  }

  /** Withdraws what lies outside of these prefixes: what is to go, goes first. @param prefixes aggregated */
  async narrow(prefixes: readonly Prefix[]): Promise<void> {
    const gone = new Set(uncoveredPrefixes(this.last, prefixes));
    if (gone.size === 0) return;
    await this.tell(
      this.last.filter((prefix) => !gone.has(prefix)),
      'they are no VIPs any more',
    );
  }

  /** Withdraws everything for good, and waits for what is on its way. */
  async withdraw(why: string): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    const announced = this.last.length > 0;
    await this.tell([], why);
    if (announced) await new Promise((resolve) => setTimeout(resolve, this.announcer.drainMs));
  }

  private async tell(prefixes: readonly Prefix[], why: string): Promise<void> {
    if (same(prefixes, this.last)) return;
    const before = this.last.length;
    this.last = prefixes;
    if (prefixes.length === 0) this.log(`routes withdrawn: ${why}`);
    else if (before === 0)
      this.log(this.why === '' ? 'routes announced' : `routes announced again, after: ${this.why}`);
    this.why = why;
    await this.announcer.announce(prefixes);
  }
}

function same(a: readonly Prefix[], b: readonly Prefix[]): boolean {
  return (
    a === b ||
    (a.length === b.length && a.every((prefix, index) => prefix.toString() === b[index].toString()))
  );
}
