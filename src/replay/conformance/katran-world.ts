import type { KeyField } from '../../path/profile/forwarder-profile.js';
import type { ForwarderService, ForwarderSite } from '../../path/profile/forwarder-site.js';
import { formatIpv6, type Prefix, parseIpv4, parseIpv6, parsePrefix } from '../../table/address.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../../wire/ip.js';

/**
 * What Katran's tests set up before their fixtures run: the VIPs of each suite, as data.
 *
 * Source: facebookincubator/katran, `katran/lib/testing/utils/KatranTestProvision.cpp` and, for the suite `cidr_vip`,
 * the comments of `fixtures/KatranCidrVipTestFixtures.h`.
 */

interface KatranVip {
  readonly prefix: Prefix;
  readonly protocol: number;
  /** 0 for all; the key of their flows is then made without the destination port. */
  readonly port: number;
  /** Only the destination port is hashed. */
  readonly byPort?: true;
  /** It has no servers yet. */
  readonly empty?: true;
}

/** `tcp 10.200.1.1 80` */
function vip(text: string, more: Pick<KatranVip, 'byPort' | 'empty'> = {}): KatranVip {
  const [protocol, prefix, port] = text.split(' ');
  return {
    prefix: parsePrefix(prefix),
    protocol: protocol === 'tcp' ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP,
    port: Number(port),
    ...more,
  };
}

const BASE: readonly KatranVip[] = [
  vip('udp 10.200.1.1 80'),
  vip('tcp 10.200.1.1 80'),
  vip('tcp 10.200.1.2 0'),
  vip('tcp 10.200.1.3 80'),
  vip('tcp 10.200.1.4 0', { byPort: true }),
  vip('udp 10.200.1.5 443'),
  vip('udp 10.200.1.6 80'),
  vip('tcp fc00:1::1 80'),
  vip('udp fc00:1::2 443'),
  vip('tcp 10.200.1.99 80', { empty: true }),
  vip('udp fc00:1::11 80', { empty: true }),
];

/** Suites that set up more than {@link BASE}; what they set up again, they set up alike. */
const MORE: Readonly<Record<string, readonly KatranVip[]>> = {
  udp_stable_rt: [
    vip('udp fc00:1::9 80'),
    vip('udp 10.200.1.90 80'),
    vip('udp 10.200.1.2 0'),
    vip('udp 10.200.1.4 0', { byPort: true }),
    vip('udp 10.200.1.3 80'),
    vip('udp fc00:1::1 80'),
  ],
  xpop_decap: [vip('udp 10.200.1.2 80')],
  udp_flow_migration: [vip('udp 10.200.1.2 80'), vip('udp 10.200.1.3 80'), vip('tcp 10.200.1.4 80')],
  cidr_vip: [
    vip('tcp fc00:1::/96 0'),
    vip('tcp fc00:2::/96 443'),
    vip('udp fc00:3::/96 0'),
    vip('udp fc00:4::/96 443'),
  ],
};

/**
 * Largest frame that Katran forwards, without its Ethernet header: as it is built by default, and as it is built where
 * it wraps in UDP ("origin" flavour). The rest is dropped or answered.
 */
const LARGEST = 1514 - 14;
const LARGEST_FOR_UDP = 1466 - 14;
const SUITES_WITHOUT_UDP = new Set(['base', 'tpr', 'icmp_too_big', 'lpm_src']);

/** Katran's own addresses: what arrives there in a tunnel, it takes out. */
export const UNWRAPPED_AT: ReadonlySet<string> = new Set(
  ['10.0.13.37', 'fc00:2307::1337', 'fc00:1404::1', 'fc00:1405::1'].map(canonical),
);

/** Its hash ring has as many places; which server stands where is its own affair, and not asked. */
const RING_SIZE = 65_537;
const ANY_SERVER = parseIpv4('10.0.0.1');
const NO_KEY = new Uint8Array(8);

const ALL_FIELDS: readonly KeyField[] = ['source-address', 'source-port', 'destination-port'];

export function katranSite(suite: string): ForwarderSite {
  const family = suite.replace(/_\d+$/, '');
  const vips = [...(Object.hasOwn(MORE, family) ? MORE[family] : []), ...BASE];
  const services = vips.map(serviceOf);
  return {
    address: parseIpv4('10.0.13.37'),
    port: 9886,
    mtu: SUITES_WITHOUT_UDP.has(suite) ? LARGEST : LARGEST_FOR_UDP,
    serviceOf: (version, data, offset, protocol, port) => {
      const words = (version === 4 ? [0] : [0, 4, 8, 12]).map((at) => data.getUint32(offset + at));
      const isIn = ({ prefix }: KatranVip): boolean =>
        version === 4 ? prefix.contains4(words[0]) : prefix.contains6(words);
      const find = (wanted: number): number =>
        vips.findIndex((vip) => vip.protocol === protocol && vip.port === wanted && isIn(vip));
      const exact = find(port);
      const found = exact >= 0 ? exact : find(0);
      if (found >= 0) return services[found];
      return vips.some(isIn) ? 'no-service' : 'not-vip';
    },
  };
}

function serviceOf({ prefix, port, byPort, empty }: KatranVip, index: number): ForwarderService {
  const fields = byPort ? (['destination-port'] as const) : ALL_FIELDS;
  return {
    name: `VIP ${prefix}`,
    index,
    hashKey: NO_KEY,
    rowCount: RING_SIZE,
    hopsOf: () => (empty ? [] : [ANY_SERVER]),
    hasSecondHop: false,
    dissector: null,
    followsFragments: false,
    hasMember: () => true,
    hasSession: null,
    keyFields: port === 0 && !byPort ? fields.filter((field) => field !== 'destination-port') : fields,
  };
}

function canonical(address: string): string {
  return address.includes(':') ? formatIpv6(parseIpv6(address)) : address;
}
