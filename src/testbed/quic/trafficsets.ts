import { serverName } from '../addresses.js';
import type { TrafficsetSpec } from '../cluster-file.js';
import { CONFIGURATIONS, serverIdOf } from './configurations.js';
import { QUIC_PORTS, WAYS, type Way } from './plan.js';

/** Their names, by the way in which they find a packet's server. */
export const QUIC_TRAFFICSETS: Readonly<Record<Way, string>> = {
  'connection id': 'quic',
  '4-tuple': 'quic-by-tuple',
};

/** The same service twice: by connection ID, and by 4-tuple alone. */
export function quicTrafficsets(servers: number): TrafficsetSpec[] {
  return WAYS.map((way) => ({
    name: QUIC_TRAFFICSETS[way],
    kind: 'udp-session',
    ports: Object.values(QUIC_PORTS[way]),
    dissector: way === 'connection id' ? quicCid(servers) : 'four-tuple',
  }));
}

function quicCid(servers: number): Readonly<Record<string, unknown>> {
  const numbers = Array.from({ length: servers }, (_, index) => index + 1);
  const serverIds = Object.fromEntries(
    numbers.map((server) => [serverName(server), serverIdOf(server).toString('hex')]),
  );
  return {
    name: 'quic-cid',
    configs: CONFIGURATIONS.map(({ configId, key, nonceLength, firstOctetEncodesCidLength }) => ({
      config_id: configId,
      ...(key === null ? {} : { key: Buffer.from(key).toString('hex') }),
      nonce_length: nonceLength,
      first_octet_encodes_length: firstOctetEncodesCidLength,
      server_ids: serverIds,
    })),
  };
}
