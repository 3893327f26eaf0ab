import type { GlbTableSource } from '../../../src/table/glb/forwarding-json.js';
import { type GlbBackend, type GlbState, parseGlbAddress } from '../../../src/table/glb/glb-table.js';

/** Small tables of GitHub's kind. */

export const HASH_KEY = '00112233445566778899aabbccddeeff';
export const SEED = '49a3d861d661ae5ab06ed9326871a2f5';

export function backend(ip: string, state: GlbState = 'active', healthy = true): GlbBackend {
  return { address: parseGlbAddress(ip), state, healthy };
}

export function source(...backends: GlbBackend[]): GlbTableSource {
  return {
    hashKey: Buffer.from(HASH_KEY, 'hex'),
    seed: Buffer.from(SEED, 'hex'),
    backends,
    binds: [
      { address: parseGlbAddress('192.0.2.1'), prefixLength: 32, protocol: 6, firstPort: 80, lastPort: 80 },
    ],
  };
}

/** `forwarding_table.json` of one table, to be changed by a test. */
export function forwardingJson() {
  return {
    tables: [
      {
        hash_key: HASH_KEY,
        seed: SEED,
        binds: [
          { ip: '192.0.2.1', proto: 'tcp', port: 80 },
          { ip: '2001:db8::/64', proto: 'udp', port_start: 8000, port_end: 8999 },
        ] as Record<string, unknown>[],
        backends: [
          { ip: '10.0.1.1', state: 'active', healthy: true },
          { ip: '10.0.2.1', state: 'draining', healthy: true },
          { ip: '10.0.3.1', state: 'filling', healthy: false },
          { ip: '10.0.4.1', state: 'inactive', healthy: true },
        ] as Record<string, unknown>[],
      },
    ],
  };
}
