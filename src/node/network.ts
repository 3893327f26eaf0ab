import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import {
  filterPreferences,
  type NetworkPlan,
  planDevice,
  planSteering,
  type Step,
  shellLine,
} from './network-setup.js';

const run = promisify(execFile);

/** Debian package of each command that a plan may use. */
const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', tc: 'iproute2', nft: 'nftables' };

/** A command of the network set-up that did not do its work. */
export class NetworkSetupError extends Error {
  override readonly name = 'NetworkSetupError';
}

/**
 * The changes a node made to its server's network, and the way back. The way back is also kept in a file, so that
 * it survives the node: the next one takes over from it, and `--remove-network-setup` needs no node at all.
 */
export class AppliedNetwork {
  private undo: Array<readonly string[]> = [];

  private constructor(
    private readonly stateFile: string,
    /** What an earlier node left to be undone. */
    private inherited: ReadonlyArray<readonly string[]>,
  ) {}

  /**
   * First half: makes the device. A set-up that stands already (of a node that died, or of this one before a reload)
   * is taken over.
   * @throws NetworkSetupError naming the command, after taking back what was done
   */
  static async prepare(plan: Omit<NetworkPlan, 'generation'>, stateFile: string): Promise<AppliedNetwork> {
    const applied = new AppliedNetwork(stateFile, readState(stateFile));
    await applied.orAbandon(async () => {
      for (const step of planDevice(plan)) await applied.take(step, plan.tun);
    });
    return applied;
  }

  /**
   * Second half, once the device has readers: what is new is in place before what is no longer wanted goes, so that
   * no packet slips past the load balancer.
   * @throws NetworkSetupError naming the command, after taking back what both halves did
   */
  steer(plan: Omit<NetworkPlan, 'generation'>): Promise<void> {
    return this.orAbandon(async () => {
      const existing = plan.steering === 'tc' ? await generationInUse(plan.interface) : null;
      const full: NetworkPlan = { ...plan, generation: existing === 0 ? 1 : 0 };
      for (const step of planSteering(full)) await this.take(step, full.tun);
      await undoAll(this.inherited.filter((line) => !includesCommand(this.undo, line)));
      this.inherited = [];
      this.save();
      if (existing !== null) await removeGeneration(plan.interface, existing);
    });
  }

  private async orAbandon(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** Takes back what this node did, and leaves what it found. */
  async abandon(): Promise<void> {
    await undoAll(this.undo.filter((line) => !includesCommand(this.inherited, line)));
    this.undo = [];
    this.save();
  }

  /** What is inherited stays written down until it was taken over or taken back. */
  private save(): void {
    const left = this.inherited.filter((line) => !includesCommand(this.undo, line));
    const all = [...left, ...this.undo];
    if (all.length === 0) {
      rmSync(this.stateFile, { force: true });
      return;
    }
    mkdirSync(dirname(this.stateFile), { recursive: true });
    writeFileSync(`${this.stateFile}.new`, `${JSON.stringify(all, null, 1)}\n`);
    renameSync(`${this.stateFile}.new`, this.stateFile);
  }

  /** Writes down how to take something back that is about to be made, unless it is written down already. */
  willUndo(...lines: readonly (readonly string[])[]): void {
    const fresh = lines.filter((line) => !includesCommand(this.undo, line));
    if (fresh.length === 0) return;
    this.undo.push(...fresh);
    this.save();
  }

  /** What an earlier node left in the file, ready to be removed; null when it left nothing. */
  static leftBehind(stateFile: string): AppliedNetwork | null {
    const undo = readState(stateFile);
    if (undo.length === 0) return null;
    const applied = new AppliedNetwork(stateFile, []);
    applied.undo = undo;
    return applied;
  }

  private async take(step: Step, tun: string): Promise<void> {
    const [command, ...words] = step.run;
    if (command === 'sysctl') {
      this.writeSysctl(words[0], words[1], tun);
      return;
    }
    // The way back is written down before the step is made: whenever this process dies, it is known.
    if (step.undo !== undefined) {
      this.undo.push(step.undo);
      this.save();
    }
    try {
      await run(command, words);
    } catch (error) {
      const existed = step.mayExist === true && !isMissing(error);
      // What somebody else made is not ours to remove; what a node before us made is.
      if (step.undo !== undefined && !includesCommand(this.inherited, step.undo)) {
        this.undo.pop();
        this.save();
      }
      if (!existed) throw commandFailed(step.run, error);
    }
  }

  private writeSysctl(name: string, value: string, tun: string): void {
    const path = sysctlPath(name);
    try {
      const before = readFileSync(path, 'utf8').trim();
      // Settings of the TUN itself go with the device.
      if (!name.includes(`.${tun}.`)) {
        const inherited = this.inherited.find((line) => line[0] === 'sysctl' && line[1] === name);
        if (inherited !== undefined) this.undo.push(inherited);
        else if (before !== value) this.undo.push(['sysctl', name, before]);
        this.save();
      }
      if (before !== value) writeFileSync(path, value);
    } catch (error) {
      throw commandFailed(['sysctl', name, value], error);
    }
  }

  /** Takes everything back, last first. @returns what failed, as lines for a log: some of it may already be gone */
  async remove(): Promise<string[]> {
    const failed = await undoAll(this.undo.splice(0));
    this.save();
    return failed;
  }
}

/** Runs the commands last first. @returns what failed */
async function undoAll(commands: ReadonlyArray<readonly string[]>): Promise<string[]> {
  const failed: string[] = [];
  for (const command of [...commands].reverse()) {
    try {
      if (command[0] === 'sysctl') writeFileSync(sysctlPath(command[1]), command[2]);
      else await run(command[0], command.slice(1));
    } catch (error) {
      failed.push(`${shellLine(command)}: ${reasonOf(error)}`);
    }
  }
  return failed;
}

function readState(stateFile: string): string[][] {
  try {
    const state: unknown = JSON.parse(readFileSync(stateFile, 'utf8'));
    return Array.isArray(state) ? state.filter(isCommand) : [];
  } catch {
    // No node was here before, or it died while it wrote: nothing can be inherited.
    return [];
  }
}

function isCommand(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string');
}

function includesCommand(commands: ReadonlyArray<readonly string[]>, command: readonly string[]): boolean {
  return commands.some(
    (candidate) =>
      candidate.length === command.length && candidate.every((word, index) => word === command[index]),
  );
}

/** Which generation of filters stands on the interface, or null. */
async function generationInUse(device: string): Promise<0 | 1 | null> {
  const show = ['filter', 'show', 'dev', device, 'ingress'];
  let text: string;
  try {
    text = (await run('tc', show)).stdout;
  } catch (error) {
    if (isMissing(error)) throw commandFailed(['tc', ...show], error);
    // No qdisc, or no such interface: the next command will tell.
    return null;
  }
  for (const generation of [0, 1] as const) {
    if (filterPreferences(generation).some((pref) => text.includes(` pref ${pref} `))) return generation;
  }
  return null;
}

async function removeGeneration(device: string, generation: 0 | 1): Promise<void> {
  for (const pref of filterPreferences(generation)) {
    await run('tc', ['filter', 'del', 'dev', device, 'ingress', 'pref', String(pref)]).catch(() => undefined);
  }
}

export function sysctlPath(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function commandFailed(command: readonly string[], error: unknown): NetworkSetupError {
  const line = shellLine(command);
  if (isMissing(error) && command[0] !== 'sysctl') {
    const name = PACKAGES[command[0]] ?? command[0];
    return new NetworkSetupError(`${command[0]} is missing: apt-get install ${name} (needed for: ${line})`);
  }
  const reason = reasonOf(error);
  const advice = /Operation not permitted|Permission denied|EPERM|EACCES|EROFS/.test(reason)
    ? ' (needs CAP_NET_ADMIN: run as root, or set the network up yourself and pass --no-network-setup)'
    : '';
  return new NetworkSetupError(`network set-up failed: ${line}: ${reason}${advice}`);
}

function reasonOf(error: unknown): string {
  if (
    error instanceof Error &&
    'stderr' in error &&
    typeof error.stderr === 'string' &&
    error.stderr !== ''
  ) {
    return error.stderr.trim().split('\n')[0];
  }
  return error instanceof Error ? error.message : String(error);
}
