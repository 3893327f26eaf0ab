import { describe, expect, it } from 'vitest';
import { type Machine, missingMeans, type Tool } from '../../src/testbed/requirements.js';

const ALL_TOOLS: readonly Tool[] = ['ip', 'tc', 'nsenter', 'unshare', 'setpriv', 'curl'];
const FULL: Machine = { has: () => true, capabilities: (1n << 41n) - 1n, tun: true };

describe('missing means', () => {
  it('are none on a machine that has everything', () => {
    expect(missingMeans({ tools: ALL_TOOLS, tun: true }, FULL)).toEqual([]);
  });

  it('name every missing command, and each package once', () => {
    const machine: Machine = { ...FULL, has: (tool) => tool === 'unshare' };
    expect(missingMeans({ tools: ALL_TOOLS, tun: true }, machine)).toEqual([
      'not found: ip, tc, nsenter, setpriv, curl (apt-get install iproute2 util-linux curl)',
    ]);
  });

  it('name the capabilities that are not there', () => {
    const machine: Machine = { ...FULL, capabilities: FULL.capabilities & ~(1n << 21n) };
    expect(missingMeans({ tools: [], tun: true }, machine)).toEqual([
      'not permitted: CAP_SYS_ADMIN (run it as root, for example with sudo)',
    ]);
    expect(missingMeans({ tools: [], tun: true }, { ...FULL, capabilities: 0n })[0]).toContain(
      'CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN',
    );
  });

  it('speak of /dev/net/tun only where a node will run', () => {
    const machine: Machine = { ...FULL, tun: false };
    expect(missingMeans({ tools: [], tun: true }, machine)[0]).toContain('/dev/net/tun');
    expect(missingMeans({ tools: [], tun: false }, machine)).toEqual([]);
  });
});
