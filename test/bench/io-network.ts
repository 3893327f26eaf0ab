import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { formatIpv4 } from '../../src/table/address.js';
import { BYSTANDER, SERVERS } from './workload.js';

/** The network of benchmarks that flood one node, in a namespace made for it, and the generator's files. */

export const TUN = 'lb0';
export const MTU = 1500;
/** Another server's address, here so that the generator may send from it. */
export const PEER = SERVERS[1];

export function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** What goes out to the underlay is dropped by the far end of a veth pair, as it is addressed to another machine. */
export function setUpUnderlay(): void {
  ip('link', 'set', 'lo', 'up');
  ip('addr', 'add', `${formatIpv4(PEER)}/32`, 'dev', 'lo');
  ip('link', 'add', 'u0', 'mtu', String(MTU), 'type', 'veth', 'peer', 'name', 'u1', 'mtu', String(MTU));
  ip('addr', 'add', `${formatIpv4(BYSTANDER)}/16`, 'dev', 'u0');
  ip('addr', 'add', `${formatIpv4(SERVERS[0])}/32`, 'dev', 'u0');
  ip('link', 'set', 'u0', 'up');
  ip('link', 'set', 'u1', 'up');
  for (const server of SERVERS) {
    if (server === PEER || server === SERVERS[0]) continue;
    ip('neigh', 'add', formatIpv4(server), 'lladdr', '02:00:00:00:00:99', 'dev', 'u0', 'nud', 'permanent');
  }
}

/** For the generator: each packet behind its length. */
export function writePackets(file: string, packets: readonly Uint8Array[]): void {
  const parts = packets.flatMap((packet) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(packet.length);
    return [length, packet];
  });
  writeFileSync(file, Buffer.concat(parts));
}

/** What a device has sent, and what it has dropped of what it was to send. @param pid of a process in its namespace */
export function deviceSent(name: string, pid: number | 'self' = 'self'): { packets: number; drops: number } {
  const line = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .find((text) => text.trimStart().startsWith(`${name}:`));
  const numbers = (line?.split(/[\s:]+/).filter(Boolean) ?? []).slice(1).map(Number);
  return { packets: numbers[9] ?? 0, drops: numbers[11] ?? 0 };
}

/** Packets that the TUN's queue had no room for. */
export function tunDrops(): number {
  return deviceSent(TUN).drops;
}

/** Never resolves. @throws when the generator ends, which it never does by itself */
export async function ended(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit');
  throw new Error(`the packet generator ended with ${code}`);
}
