import type { Prefix } from '../table/address.js';

/**
 * What a node changes about its server's network, as commands a person can read, run and undo: the TUN device's
 * settings, the steering of VIP packets into it, local delivery of the VIPs, and the sticky-reply rule.
 *
 * `native-notes/tun.md` tells why each is needed.
 */

export interface Step {
  /** Command and arguments, no shell; or a sysctl to write. */
  readonly run: readonly string[];
  /** What takes it back; absent where removing the device does. */
  readonly undo?: readonly string[];
  /** Another owner may have done the same already: its failure is accepted and nothing is undone. */
  readonly mayExist?: boolean;
}

export interface NetworkPlan {
  /** Device name of the TUN. */
  readonly tun: string;
  readonly mtu: number;
  /** Keep the device when the node dies, and so take nothing rather than deliver other servers' packets here. */
  readonly persistent: boolean;
  /** Interface on which VIP packets arrive. */
  readonly interface: string;
  readonly steering: 'tc' | 'policy';
  /** Prefixes whose packets are steered into the TUN. */
  readonly vips: readonly Prefix[];
  /** Route the VIPs to the local kernel. */
  readonly localRoutes: boolean;
  /** Send replies that a UDP service pinned to the TUN out by destination. */
  readonly stickyReplies: boolean;
  /** Make ready for VIPs of both families, whichever `vips` has: others may come. */
  readonly bothFamilies?: boolean;
  /** Device that steered SYNs go to in place of the TUN; absent: they go there as all packets do. tc only. */
  readonly synDevice?: string | undefined;
  /** Which of two sets of tc filter preferences to use: a restart adds the new set before it removes the old. */
  readonly generation: 0 | 1;
}

/** Routing table and rule preferences of policy steering. */
const POLICY_TABLE = '100';
const POLICY_PREF = '10';
const LOCAL_PREF = '100';
const BLACKHOLE_METRIC = '4242';
/** Mark that makes the kernel route a sticky reply again. */
const STICKY_MARK = '0x2b0b';

/** More filters than this on one interface cost more per packet than they save: name covering prefixes instead. */
export const MAX_STEERED_PREFIXES = 512;

/** tc filter preferences of a generation: one for IPv4, one for IPv6. */
export function filterPreferences(generation: 0 | 1): readonly [number, number] {
  return generation === 0 ? [7700, 7701] : [7702, 7703];
}

/** What has to be done before the node opens its TUN. */
export function planDevice(plan: Omit<NetworkPlan, 'generation'>): Step[] {
  if (!plan.persistent) return [];
  const device = ['dev', plan.tun, 'mode', 'tun', 'multi_queue'];
  // Made here, the device stays when its readers go; undone, it goes when the last of them does.
  return [
    { run: ['ip', 'tuntap', 'add', ...device], undo: ['ip', 'tuntap', 'del', ...device], mayExist: true },
  ];
}

/** What is done once the node reads its TUN: steering comes last, so that no packet is taken that nobody reads. */
export function planSteering(plan: NetworkPlan): Step[] {
  return [
    ...deviceSteps(plan),
    ...(plan.localRoutes ? localRouteSteps(plan) : []),
    ...(plan.stickyReplies ? stickyReplySteps(plan) : []),
    ...(plan.steering === 'tc' ? tcSteps(plan) : policySteps(plan)),
  ];
}

function deviceSteps(plan: NetworkPlan): Step[] {
  const { tun } = plan;
  return [
    { run: ['ip', 'link', 'set', 'dev', tun, 'mtu', String(plan.mtu), 'txqueuelen', '10000'] },
    { run: ['ip', 'link', 'set', 'dev', tun, 'addrgenmode', 'none'] },
    // Packets written into the TUN come from addresses that are routed elsewhere; the stricter of the two counts.
    sysctl(`net.ipv4.conf.${tun}.rp_filter`, '0'),
    sysctl('net.ipv4.conf.all.rp_filter', '0'),
    { run: ['ip', 'link', 'set', 'dev', tun, 'up'] },
  ];
}

function localRouteSteps(plan: NetworkPlan): Step[] {
  const steps: Step[] = plan.vips.map((prefix) => {
    const route = ['local', prefix.toString(), 'dev', 'lo'];
    const family = `-${prefix.version}`;
    return {
      run: ['ip', family, 'route', 'add', ...route],
      undo: ['ip', family, 'route', 'del', ...route],
      mayExist: true,
    };
  });
  const six = plan.bothFamilies === true || plan.vips.some((prefix) => prefix.version === 6);
  if (six) steps.push(sysctl('net.ipv6.ip_nonlocal_bind', '1'));
  return steps;
}

function tcSteps(plan: NetworkPlan): Step[] {
  const [preference4, preference6] = filterPreferences(plan.generation);
  const steps: Step[] = [{ run: ['tc', 'qdisc', 'add', 'dev', plan.interface, 'clsact'], mayExist: true }];
  for (const version of [4, 6] as const) {
    const vips = plan.vips.filter((prefix) => prefix.version === version);
    const pref = String(version === 4 ? preference4 : preference6);
    vips.forEach((prefix, index) => {
      const where = ['dev', plan.interface, 'ingress', 'pref', pref];
      const filters = filtersOf(prefix, plan.tun, plan.synDevice).map((filter) => ({
        run: ['tc', 'filter', 'add', ...where, 'protocol', version === 4 ? 'ip' : 'ipv6', 'u32', ...filter],
      }));
      // One deletion removes all filters of the preference.
      if (index === 0)
        steps.push({ ...filters[0], undo: ['tc', 'filter', 'del', ...where] }, ...filters.slice(1));
      else steps.push(...filters);
    });
  }
  return steps;
}

/**
 * What follows `u32` in the filters of a prefix, in the order in which they have to stand: two with a device for SYNs,
 * otherwise one. A SYN behind IPv4 options or IPv6 extension headers is as any other packet.
 */
export function filtersOf(prefix: Prefix, tun: string, synDevice?: string): string[][] {
  const destination = ['match', prefix.version === 4 ? 'ip' : 'ip6', 'dst', prefix.toString()];
  const all = [...destination, 'action', 'mirred', 'egress', 'redirect', 'dev', tun];
  if (synDevice === undefined) return [all];
  // A header without options, no later fragment, TCP; of SYN and ACK only SYN.
  const syn =
    prefix.version === 4
      ? 'match u8 0x45 0xff at 0 match u16 0 0x1fff at 6 match u8 6 0xff at 9 match u8 0x02 0x12 at 33'
      : 'match u8 6 0xff at 6 match u8 0x02 0x12 at 53';
  const bounded = [
    ...destination,
    ...syn.split(' '),
    'action',
    'mirred',
    'ingress',
    'redirect',
    'dev',
    synDevice,
  ];
  return [bounded, all];
}

function policySteps(plan: NetworkPlan): Step[] {
  const steps: Step[] = [];
  for (const version of [4, 6] as const) {
    const vips = plan.vips.filter((prefix) => prefix.version === version);
    if (vips.length === 0 && plan.bothFamilies !== true) continue;
    const ip = ['ip', `-${version}`];
    steps.push(
      version === 4 ? sysctl('net.ipv4.ip_forward', '1') : sysctl('net.ipv6.conf.all.forwarding', '1'),
    );
    // An early-demuxed packet has its socket already and would never see the rule.
    if (version === 4) steps.push(sysctl('net.ipv4.ip_early_demux', '0'));
    // The route goes with the device: what then remains is local delivery, which is failing open.
    steps.push({
      run: [...ip, 'route', 'replace', 'default', 'dev', plan.tun, 'table', POLICY_TABLE],
    });
    if (plan.persistent) {
      // Behind it, what fails closed finds nothing instead of the local route, even if the device is removed.
      const nothing = ['blackhole', 'default', 'table', POLICY_TABLE, 'metric', BLACKHOLE_METRIC];
      steps.push({
        run: [...ip, 'route', 'add', ...nothing],
        undo: [...ip, 'route', 'del', ...nothing],
        mayExist: true,
      });
    }
    for (const prefix of vips) {
      const rule = ['pref', POLICY_PREF, 'iif', plan.interface, 'to', prefix.toString()];
      steps.push({
        run: [...ip, 'rule', 'add', ...rule, 'lookup', POLICY_TABLE],
        undo: [...ip, 'rule', 'del', ...rule, 'lookup', POLICY_TABLE],
        mayExist: true,
      });
    }
    // Local delivery comes before every other rule by default; move it behind ours. Added before removed, so that
    // the server never stands without it.
    steps.push({
      run: [...ip, 'rule', 'add', 'pref', LOCAL_PREF, 'lookup', 'local'],
      undo: [...ip, 'rule', 'del', 'pref', LOCAL_PREF, 'lookup', 'local'],
      mayExist: true,
    });
    steps.push({
      run: [...ip, 'rule', 'del', 'pref', '0', 'lookup', 'local'],
      undo: [...ip, 'rule', 'add', 'pref', '0', 'lookup', 'local'],
      mayExist: true,
    });
  }
  return steps;
}

function stickyReplySteps(plan: NetworkPlan): Step[] {
  const table = `twohop_${plan.tun}`;
  const rules = plan.vips.map((prefix) => {
    const family = prefix.version === 4 ? 'ip' : 'ip6';
    return `oifname "${plan.tun}" ${family} saddr ${prefix.toString()} meta mark set ${STICKY_MARK}`;
  });
  const chain = 'type route hook output priority mangle; policy accept;';
  return [
    // Declared, emptied, filled: one transaction that is right whether the table was there or not.
    {
      run: [
        'nft',
        `table inet ${table} {}; flush table inet ${table}; delete table inet ${table}; table inet ${table} { chain output { ${chain} ${rules.join('; ')}; }; }`,
      ],
      undo: ['nft', `delete table inet ${table}`],
    },
  ];
}

function sysctl(name: string, value: string): Step {
  return { run: ['sysctl', name, value] };
}

/** The plan as lines for a shell; sysctl steps as `sysctl -w`. */
export function printSteps(steps: readonly Step[]): string[] {
  return steps.map((step) => shellLine(step.run) + (step.mayExist === true ? ' || true' : ''));
}

/** How to take it all back, last first. */
export function printUndo(steps: readonly Step[]): string[] {
  return [...steps].reverse().flatMap((step) => (step.undo === undefined ? [] : [shellLine(step.undo)]));
}

export function shellLine(command: readonly string[]): string {
  if (command[0] === 'sysctl') return `sysctl -w ${command[1]}=${command[2]}`;
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ');
}
