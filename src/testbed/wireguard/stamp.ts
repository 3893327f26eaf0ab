import { lines } from '../namespace-setup.js';
import { WIREGUARD_PORT } from './plan.js';

/**
 * Makes a stock client send a clientid: nftables writes it into every WireGuard message that leaves the client's
 * namespace, over the three bytes that stock peers keep at zero.
 *
 * nftables does not follow with the UDP checksum. Where the kernel fills that in later, as it does for whole datagrams
 * on a veth link, nothing is amiss; a datagram that the client itself sends in fragments has its checksum already, and
 * only survives with an id from {@link checksumNeutralId}.
 */

const TABLE = 'clientid';

/** Clientids are 24 bits, as six hexadecimal digits; 000000 stands for none. */
export function stampScript(clientId: string): string {
  return `nft -f - <<'END'\n${lines([
    `table inet ${TABLE} {`,
    'chain output {',
    'type filter hook output priority mangle; policy accept;',
    `udp dport ${WIREGUARD_PORT} @th,64,8 1-4 @th,72,24 set 0x${clientId}`,
    '}',
    '}',
  ])}END\n`;
}

export const unstampScript = `nft delete table inet ${TABLE}\n`;

/**
 * An id that adds nothing to a ones' complement sum (RFC 1071): its first byte and the number of the other two add up
 * to 0xffff, which is the other spelling of zero.
 * @param n 1 to 255
 */
export function checksumNeutralId(n: number): string {
  return ((n << 16) | (0xffff - n)).toString(16).padStart(6, '0');
}
