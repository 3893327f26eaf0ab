import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Prefix, parsePrefix } from '../table/address.js';
import { runBatch } from './batch-command.js';
import { type AppliedNetwork, NetworkSetupError } from './network.js';
import { filtersOf } from './network-setup.js';

const run = promisify(execFile);

/** What marks the local routes and rules of VIPs that came at run time as ours (`proto` of iproute2). */
const PROTOCOL = '43';
/** Two sets of tc preferences, for IPv4 and IPv6: a restart adds its own before it removes those of before. */
const PREFERENCES = [
  [7710, 7711],
  [7712, 7713],
] as const;
const POLICY_TABLE = '100';
const POLICY_PREF = '10';
const STICKY_MARK = '0x2b0b';
const EXISTS = 'File exists';
/** Handles of filters for all packets begin here, behind those for SYNs, of which there are fewer than that. */
const LAST_FILTERS = 0x400;

export interface VipNetworkPlan {
  readonly tun: string;
  readonly interface: string;
  readonly steering: 'tc' | 'policy';
  readonly localRoutes: boolean;
  readonly stickyReplies: boolean;
}

/** What the VIPs that came at run time need of the server's network, each beside what the configuration has set up. */
export interface VipRoutes {
  /** Steered into the TUN; few. */
  readonly steered: readonly Prefix[];
  /** Delivered locally; may be a hundred thousand. */
  readonly local: readonly Prefix[];
}

/**
 * The part of the server's network that changes with the VIPs while the node runs. Only differences are applied, many
 * in one go, so that nothing else is touched; and everything is marked as ours by preference, protocol number or table
 * name, so that the way back is a few lines however many VIPs there are.
 */
export class VipNetwork {
  /** Handle of the filter, or 0 for rules, by prefix. */
  private readonly steered = new Map<string, number>();
  private local = new Set<string>();
  /** Where steered SYNs go in place of the TUN. To be set before anything is steered. */
  synDevice: string | undefined;
  private prepared = false;
  private readonly undo: (readonly string[])[] = [];
  /** Preferences of an earlier node, to go once ours stand. */
  private stale: readonly number[] = [];
  private preferences: readonly [number, number] = PREFERENCES[0];

  constructor(
    private readonly plan: VipNetworkPlan,
    private network: AppliedNetwork,
  ) {}

  /** The way back is written down with another set-up from now on. */
  adopt(network: AppliedNetwork): void {
    this.network = network;
    network.willUndo(...this.undo);
  }

  private willUndo(...lines: readonly (readonly string[])[]): void {
    this.undo.push(...lines);
    this.network.willUndo(...lines);
  }

  get localRoutes(): number {
    return this.local.size;
  }

  /** First: what nobody is to be answered from any more. Its packets are then dropped rather than answered here. */
  async withdraw(routes: VipRoutes): Promise<void> {
    if (!this.prepared) return;
    const wanted = new Set(routes.local.map(String));
    const gone = [...this.local].filter((prefix) => !wanted.has(prefix));
    for (const [version, prefixes] of byFamily(gone)) {
      await this.batch(
        ['ip', `-${version}`],
        prefixes.map((prefix) => `route del local ${prefix} dev lo proto ${PROTOCOL}`),
        'No such process',
      );
    }
    for (const prefix of gone) this.local.delete(prefix);
  }

  /** Last, when the workers know the VIPs: steers what is new, delivers it, and no longer steers what is gone. */
  async serve(routes: VipRoutes): Promise<void> {
    if (!this.prepared) {
      if (routes.steered.length === 0 && routes.local.length === 0 && !(await this.leftBehind())) return;
      await this.prepare();
    }
    const wanted = new Set(routes.steered.map(String));
    await this.steer([...wanted].filter((prefix) => !this.steered.has(prefix)));
    if (this.plan.stickyReplies) await this.markReplies(routes.steered);
    if (this.plan.localRoutes) {
      await this.deliver(routes.local.map(String).filter((prefix) => !this.local.has(prefix)));
    }
    await this.unsteer([...this.steered.keys()].filter((prefix) => !wanted.has(prefix)));
  }

  /** Whether an earlier node left filters, rules or routes of such VIPs. */
  private async leftBehind(): Promise<boolean> {
    return (await this.existingRoutes()).size > 0 || (await this.existingFilters()).length > 0;
  }

  /** Takes over what an earlier node left, and writes the way back down. */
  private async prepare(): Promise<void> {
    const { steering, interface: device } = this.plan;
    this.local = await this.existingRoutes();
    for (const family of ['-4', '-6']) {
      this.willUndo(['ip', family, 'route', 'flush', 'table', 'local', 'proto', PROTOCOL]);
    }
    if (steering === 'policy') {
      for (const family of ['-4', '-6']) {
        this.willUndo(['ip', family, 'rule', 'flush', 'protocol', PROTOCOL]);
        const { stdout } = await run('ip', [family, 'rule', 'show', 'protocol', PROTOCOL]);
        for (const [, prefix] of stdout.matchAll(/ to (\S+) /g)) {
          this.steered.set(parsePrefix(prefix).toString(), 0);
        }
      }
    } else {
      this.stale = await this.existingFilters();
      this.preferences =
        PREFERENCES.find((pair) => !pair.some((pref) => this.stale.includes(pref))) ?? PREFERENCES[0];
      await run('tc', ['qdisc', 'add', 'dev', device, 'clsact']).catch(() => undefined);
    }
    this.prepared = true;
  }

  private filterRemoval(pref: number): string[] {
    return ['tc', 'filter', 'del', 'dev', this.plan.interface, 'ingress', 'pref', String(pref)];
  }

  private async steer(prefixes: readonly string[]): Promise<void> {
    const { steering, interface: device, tun } = this.plan;
    if (steering === 'policy') {
      for (const [version, some] of byFamily(prefixes)) {
        const rules = some.map((prefix) => `rule add ${this.rule(prefix)}`);
        await this.batch(['ip', `-${version}`], rules, EXISTS);
      }
      for (const prefix of prefixes) this.steered.set(prefix, 0);
      return;
    }
    for (const [version] of byFamily(prefixes)) {
      const removal = this.filterRemoval(this.preferences[version === 4 ? 0 : 1]);
      if (!this.undo.some((line) => line.join() === removal.join())) this.willUndo(removal);
    }
    const used = new Set(this.steered.values());
    let handle = 0;
    const lines = prefixes.flatMap((prefix) => {
      do handle++;
      while (used.has(handle));
      this.steered.set(prefix, handle);
      const [protocol, pref] = prefix.includes(':')
        ? ['ipv6', this.preferences[1]]
        : ['ip', this.preferences[0]];
      const add = `filter add dev ${device} ingress pref ${pref} protocol ${protocol}`;
      const filters = filtersOf(parsePrefix(prefix), tun, this.synDevice);
      const handles = this.handlesOf(handle);
      return filters.map((filter, index) => `${add} handle ::${handles[index]} u32 ${filter.join(' ')}`);
    });
    await this.batch(['tc'], lines);
    for (const pref of this.stale) {
      const [command, ...words] = this.filterRemoval(pref);
      await run(command, words).catch(() => undefined);
    }
    this.stale = [];
  }

  private async unsteer(prefixes: readonly string[]): Promise<void> {
    if (prefixes.length === 0) return;
    if (this.plan.steering === 'policy') {
      for (const [version, some] of byFamily(prefixes)) {
        const rules = some.map((prefix) => `rule del ${this.rule(prefix)}`);
        await this.batch(['ip', `-${version}`], rules, 'No such file');
      }
    } else {
      for (const [version, some] of byFamily(prefixes)) {
        const pref = this.preferences[version === 4 ? 0 : 1];
        const root = await this.rootOf(pref);
        const protocol = version === 4 ? 'ip' : 'ipv6';
        const lines = some.flatMap((prefix) =>
          this.handlesOf(this.steered.get(prefix) ?? 0).map(
            (handle) =>
              `filter del dev ${this.plan.interface} ingress pref ${pref} protocol ${protocol} handle ${root}::${handle} u32`,
          ),
        );
        await this.batch(['tc'], lines);
      }
    }
    for (const prefix of prefixes) this.steered.delete(prefix);
  }

  /** Of the filters of a prefix: the kernel tries them in the order of their handles. */
  private handlesOf(handle: number): string[] {
    const last = (handle + LAST_FILTERS).toString(16);
    return this.synDevice === undefined ? [last] : [handle.toString(16), last];
  }

  private rule(prefix: string): string {
    return `pref ${POLICY_PREF} iif ${this.plan.interface} to ${prefix} lookup ${POLICY_TABLE} protocol ${PROTOCOL}`;
  }

  /** The kernel numbers the hash table of each preference; a filter is only found by it. */
  private async rootOf(pref: number): Promise<string> {
    const show = ['filter', 'show', 'dev', this.plan.interface, 'ingress', 'pref', String(pref)];
    const root = /fh (\w+): ht divisor/.exec((await run('tc', show)).stdout)?.[1];
    if (root === undefined) throw new NetworkSetupError(`tc ${show.join(' ')}: the filters are gone`);
    return root;
  }

  private async deliver(prefixes: readonly string[]): Promise<void> {
    for (const [version, some] of byFamily(prefixes)) {
      const lines = some.map((prefix) => `route add local ${prefix} dev lo proto ${PROTOCOL}`);
      const command = ['ip', `-${version}`];
      // A route that somebody else made is theirs, and stays theirs.
      const others = new Set(await this.batch(command, lines, EXISTS));
      for (const [index, prefix] of some.entries()) if (!others.has(index)) this.local.add(prefix);
    }
  }

  private get stickyTable(): string {
    return `twohop_${this.plan.tun}_vips`;
  }

  /** The same rule as for the VIPs of the configuration, over what is steered: one transaction. */
  private async markReplies(steered: readonly Prefix[]): Promise<void> {
    const table = this.stickyTable;
    const removal = ['nft', `delete table inet ${table}`];
    if (!this.undo.some((line) => line.join() === removal.join())) this.willUndo(removal);
    const rules = steered.map((prefix) => {
      const family = prefix.version === 4 ? 'ip' : 'ip6';
      return `oifname "${this.plan.tun}" ${family} saddr ${prefix} meta mark set ${STICKY_MARK};`;
    });
    const chain = `type route hook output priority mangle; policy accept; ${rules.join(' ')}`;
    const text = `table inet ${table} {}; delete table inet ${table}; table inet ${table} { chain output { ${chain} }; }`;
    await run('nft', [text]).catch((error: Error & { stderr?: string }) => {
      throw new NetworkSetupError(`network set-up failed: nft: ${error.stderr?.trim() || error.message}`);
    });
  }

  private async existingRoutes(): Promise<Set<string>> {
    const found = new Set<string>();
    for (const family of ['-4', '-6']) {
      const { stdout } = await run('ip', [family, 'route', 'show', 'table', 'local', 'proto', PROTOCOL], {
        maxBuffer: 1 << 28,
      });
      for (const [, prefix] of stdout.matchAll(/^local (\S+) /gm)) found.add(parsePrefix(prefix).toString());
    }
    return found;
  }

  /** Those of our preferences that have filters. */
  private async existingFilters(): Promise<number[]> {
    const show = ['filter', 'show', 'dev', this.plan.interface, 'ingress'];
    const text = await run('tc', show).then(
      ({ stdout }) => stdout,
      () => '',
    );
    return PREFERENCES.flat().filter((pref) => text.includes(` pref ${pref} `));
  }

  /**
   * @param accepted reason that is none to complain about
   * @returns indices of the lines that failed for that reason
   * @throws NetworkSetupError
   */
  private async batch(
    command: readonly string[],
    lines: readonly string[],
    accepted?: string,
  ): Promise<number[]> {
    const failed = await runBatch(command, lines).catch((error: Error) => {
      throw new NetworkSetupError(`network set-up failed: ${error.message}`);
    });
    const bad = failed.find(({ reason }) => accepted === undefined || !reason.includes(accepted));
    if (bad !== undefined) {
      throw new NetworkSetupError(
        `network set-up failed: ${command.join(' ')} ${lines[bad.index] ?? ''}: ${bad.reason}`,
      );
    }
    return failed.map(({ index }) => index);
  }
}

/** Prefixes as text, those of each family that has any. */
function byFamily(prefixes: readonly string[]): [4 | 6, string[]][] {
  const all: [4 | 6, string[]][] = [
    [4, prefixes.filter((prefix) => !prefix.includes(':'))],
    [6, prefixes.filter((prefix) => prefix.includes(':'))],
  ];
  return all.filter(([, some]) => some.length > 0);
}
