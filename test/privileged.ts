import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'vitest';
import { CpuGroup } from '../src/testbed/control/cpu-group.js';

/**
 * Tests that need more than an ordinary process has. Where the means are missing they are skipped by name, visibly;
 * in CI (CI=true) they fail instead, so that a green run means that they ran.
 */

/**
 * - `root`: user id 0
 * - `tun`: /dev/net/tun can be opened
 * - `namespaces`: new network and mount namespaces can be made
 * - `cgroups`: control groups with a quota of processor time can be made
 * - `ipv6`: the machine has the address ::1
 * - `npm:NAME`: the optional package NAME is installed
 * - anything else: a program of that name is in PATH
 */
export type Need = 'root' | 'tun' | 'namespaces' | 'cgroups' | 'ipv6' | `npm:${string}` | (string & {});

const answers = new Map<Need, boolean>();

function has(need: Need): boolean {
  let answer = answers.get(need);
  if (answer === undefined) {
    answer = probe(need);
    answers.set(need, answer);
  }
  return answer;
}

function probe(need: Need): boolean {
  switch (need) {
    case 'root':
      return process.getuid?.() === 0;
    case 'tun':
      try {
        accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
        return true;
      } catch {
        return false;
      }
    case 'namespaces':
      return spawnSync('unshare', ['-n', '-m', 'true']).status === 0;
    case 'cgroups':
      try {
        return CpuGroup.make(`/twohop-${process.pid}-probe`).remove();
      } catch {
        return false;
      }
    case 'ipv6':
      return hasLoopback6();
    default:
      if (need.startsWith('npm:')) return isInstalled(need.slice(4));
      return spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', need]).status === 0;
  }
}

function hasLoopback6(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'utf8').includes(`${'1'.padStart(32, '0')} `);
  } catch {
    // The kernel was started without IPv6.
    return false;
  }
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url)(name);
    return true;
  } catch {
    return false;
  }
}

/** `describe` for tests that need these means. */
export function describePrivileged(name: string, needs: readonly Need[], define: () => void): void {
  const missing = needs.filter((need) => !has(need));
  if (missing.length === 0) {
    describe(name, define);
  } else if (process.env.CI === 'true') {
    describe(name, () => {
      it('has what it needs', () => {
        throw new Error(`missing: ${missing.join(', ')}`);
      });
    });
  } else {
    describe.skip(`${name} (skipped, missing: ${missing.join(', ')})`, define);
  }
}
