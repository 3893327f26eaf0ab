import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { spawnEnclosed } from '../enclosed.js';
import { describePrivileged } from '../privileged.js';

/** A node that cannot start says what is missing and what helps, in one line, and leaves nothing behind. */

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const CONFIG = `underlay: { prefixes: [10.0.0.0/16] }
servers:
  - { name: s1, dip: 10.0.1.1 }
  - { name: elsewhere, dip: 10.0.2.1 }
trafficsets:
  - { name: web, kind: tcp, vips: [192.0.2.0/24, "2001:db8:100::/64"], table: web.table }
node: { interface: INTERFACE, admin: ["127.0.0.1:9090"] }
`;

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-start-'));
  writeFileSync(join(directory, 'cluster.yaml'), CONFIG.replace('INTERFACE', 'eth0'));
  writeFileSync(join(directory, 'eth9.yaml'), CONFIG.replace('INTERFACE', 'eth9'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a shell script on a server of its own; `NODE` starts the node. What remains on the server comes last. */
function onServer(script: string): { status: number | null; stderr: string; left: string } {
  const node = `${process.execPath} ${CLI} node`;
  const run = spawnEnclosed(
    [
      'sh',
      '-c',
      `
      ip link set lo up
      ip link add eth0 type veth peer name router
      ip link set eth0 up
      ip addr add 10.0.1.1/31 dev eth0
      ${script.replaceAll('NODE', node)}
      status=$?
      ip -o link | grep -c lb0
      tc filter show dev eth0 ingress
      ip route show table local | grep 192.0.2 
      exit $status`,
    ],
    directory,
  );
  return { status: run.status, stderr: run.stderr, left: run.stdout.replace(/^\{.*\n/gm, '').trim() };
}

describePrivileged('a node that cannot start', ['root', 'tun', 'namespaces', 'ip', 'tc', 'setpriv'], () => {
  it.each([
    [
      'without the TUN driver',
      'mount -t tmpfs tmpfs /dev/net; NODE -c cluster.yaml --as s1',
      /\/dev\/net\/tun.*modprobe tun/,
    ],
    [
      'without capabilities',
      'setpriv --bounding-set=-net_admin,-net_raw --inh-caps=-net_admin,-net_raw NODE -c cluster.yaml --as s1',
      /lb0: EPERM.*CAP_NET_ADMIN/,
    ],
    [
      'without iproute2',
      'PATH=/nowhere NODE -c cluster.yaml --as s1',
      /ip is missing: apt-get install iproute2/,
    ],
    [
      'without its interface',
      'NODE -c eth9.yaml --as s1',
      /tc filter add dev eth9 .*Cannot find device "eth9"/,
    ],
    [
      'without its address',
      'NODE -c cluster.yaml --as elsewhere',
      /bind 10\.0\.2\.1:6080: EADDRNOTAVAIL.*give it to one/,
    ],
  ])('%s', (_what, script, message) => {
    const { status, stderr, left } = onServer(script);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(1);
    expect(left).toBe('0');
  });

  it.each(['TERM', 'INT'])('leaves nothing when SIG%s comes while it starts', (signal) => {
    // Whatever it has done by then: the signal comes at ten different moments.
    const script = Array.from(
      { length: 10 },
      (_, i) => `timeout -s ${signal} 0.${i + 2} NODE -c cluster.yaml --as s1`,
    );
    const { left } = onServer(`${script.join(' >/dev/null\n')} >/dev/null`);
    expect(left).toBe('0');
  });

  it('tells a mistake in the configuration with its place, before it touches anything', () => {
    const { status, stderr, left } = onServer('NODE -c cluster.yaml --as s7');
    expect(stderr).toMatch(/^twohop: cluster\.yaml:2:1: servers: there is no server named s7/);
    expect(status).toBe(2);
    expect(left).toBe('0');
  });
});
