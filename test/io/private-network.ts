import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const CLONE_NEWNET = 0x40000000;

/**
 * Moves this test file's process (vitest gives each file its own) into a new network namespace, with lo up. All
 * sockets made and programs started afterwards belong to it; the kernel removes it when the process ends.
 */
export function enterPrivateNetwork(): void {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const unshare = koffi.load('libc.so.6').func('unshare', 'int', ['int']);
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  ip('link set lo up');
}

/** Runs `ip ARGUMENTS` in the current namespace. */
export function ip(command: string): string {
  return execFileSync('ip', command.split(' '), { encoding: 'utf8' });
}

/** Sets a sysctl of the current namespace: `sysctl('net/ipv4/tcp_syncookies', 2)`. */
export function sysctl(name: string, value: number): void {
  writeFileSync(`/proc/sys/${name}`, `${value}\n`);
}
