import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { sysctlPath } from './network.js';
import { type Step, shellLine } from './network-setup.js';

const run = promisify(execFile);

/**
 * Bounds the SYNs that the kernel puts into the TUN's queue, so that a flood of them is dropped before it costs the node
 * anything, or fills the queue that packets of connections wait in. nftables does it: it has a limit by packets, which
 * needs no timer (native-notes/performance.md tells what was tried).
 *
 * tc comes before nftables where packets come in, and redirects. So tc filters redirect SYNs to the input of a device
 * made for them, whose hook of nftables passes them on to the TUN or drops them. Without the rules the device drops
 * them all: it refuses IPv6, and IPv4 by its strict reverse-path filter. Steered by policy, packets are forwarded, and
 * the hook there does.
 */
export interface SynBudget {
  /** Device name of the TUN. */
  readonly tun: string;
  readonly steering: 'tc' | 'policy';
  /** SYNs per second; null: no bound. */
  readonly rate: number | null;
}

/** Addresses share what is sure to them by their last four bits, in each family. */
const GROUPS = 16;
/** Of the rate: what is sure to each group beyond what all share. */
const SURE = 1 / 64;
/** Seconds of the rate that may come at once. */
const BURST = 0.01;
const LEAST_BURST = 32;

/** Device whose input the SYNs take in place of the TUN; undefined where they take none. */
export function synDevice({ tun, steering, rate }: SynBudget): string | undefined {
  if (rate === null || steering !== 'tc') return undefined;
  // A device name has at most 15 characters.
  return `${tun.slice(0, 11)}-syn`;
}

function family(steering: 'tc' | 'policy'): string {
  return steering === 'tc' ? 'netdev' : 'inet';
}

function table({ tun, steering }: SynBudget): string {
  return `${family(steering)} twohop_${tun}_syn`;
}

/** To be done when the TUN is there, before anything is steered; each may stand already. */
export function planSynBudget(budget: SynBudget): Step[] {
  const { rate } = budget;
  if (rate === null) return [];
  const device = synDevice(budget);
  const rules = { run: ['nft', rulesOf(budget, rate)], undo: ['nft', `delete table ${table(budget)}`] };
  if (device === undefined) return [rules];
  return [
    {
      run: ['ip', 'link', 'add', 'name', device, 'type', 'ifb'],
      undo: ['ip', 'link', 'del', 'dev', device],
      mayExist: true,
    },
    { run: ['ip', 'link', 'set', 'dev', device, 'addrgenmode', 'none'] },
    { run: ['sysctl', `net.ipv6.conf.${device}.disable_ipv6`, '1'] },
    { run: ['sysctl', `net.ipv4.conf.${device}.rp_filter`, '1'] },
    { run: ['ip', 'link', 'set', 'dev', device, 'up'] },
    rules,
  ];
}

/** One transaction that is right whether the table was there or not. */
function rulesOf(budget: SynBudget, rate: number): string {
  const { tun, steering } = budget;
  const name = table(budget);
  const limit = (perSecond: number) => {
    const most = Math.max(1, Math.round(perSecond));
    return `limit rate ${most}/second burst ${Math.max(LEAST_BURST, Math.round(most * BURST))} packets`;
  };
  const sure = limit(rate * SURE);
  const [hook, isSyn] =
    steering === 'tc'
      ? [`type filter hook ingress device ${synDevice(budget)} priority 0; policy drop;`, '']
      : [
          'type filter hook forward priority -150; policy accept;',
          `oifname ${tun} tcp flags & (syn | ack) == syn `,
        ];
  // The addresses are of no meaning: the TUN has no neighbours, but asks for no header either.
  const enter =
    steering === 'tc'
      ? `meta protocol ip fwd ip to 127.0.0.1 device ${tun}; meta protocol ip6 fwd ip6 to ::1 device ${tun}; drop;`
      : 'accept;';
  return [
    `table ${name} {}; delete table ${name}; table ${name} {`,
    'counter dropped {}',
    `set sure4 { type ipv4_addr; size ${GROUPS}; flags dynamic; }`,
    `set sure6 { type ipv6_addr; size ${GROUPS}; flags dynamic; }`,
    `chain enter { ${enter} }`,
    'chain syn {',
    `${limit(rate)} goto enter;`,
    `add @sure4 { ip daddr & 0.0.0.${GROUPS - 1} ${sure} } goto enter;`,
    `add @sure6 { ip6 daddr & ::${(GROUPS - 1).toString(16)} ${sure} } goto enter;`,
    'counter name dropped drop; }',
    `chain arrive { ${hook} ${isSyn}goto syn; }`,
    '}',
  ].join('\n');
}

/**
 * Sets the budget, in place of what an earlier node has set.
 * @param willUndo told of the way back before each step
 * @returns why there is none; null when there is, or none is wanted
 */
export async function setSynBudget(
  budget: SynBudget,
  willUndo: (line: readonly string[]) => void,
): Promise<string | null> {
  for (const step of planSynBudget(budget)) {
    if (step.undo !== undefined) willUndo(step.undo);
    try {
      const [command, ...words] = step.run;
      if (command === 'sysctl') writeFileSync(sysctlPath(words[0]), words[1]);
      else await run(command, words);
    } catch (error) {
      const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
      if (step.mayExist === true && said.includes('File exists')) continue;
      const reason = said.split('\n')[0] || (error instanceof Error ? error.message : String(error));
      return `${shellLine(step.run).split('\n')[0]}: ${reason}`;
    }
  }
  return null;
}

/**
 * SYNs that the budget has dropped since it was set.
 * @throws when there is no budget
 */
export async function synBudgetDrops(budget: SynBudget): Promise<number> {
  const { stdout } = await run('nft', ['-j', 'list', 'counter', ...table(budget).split(' '), 'dropped']);
  const { nftables } = JSON.parse(stdout) as { nftables: readonly { counter?: { packets: number } }[] };
  return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}
