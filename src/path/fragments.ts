import { randomBytes } from 'node:crypto';
import { halfSipHash24 } from '../flow/halfsiphash.js';
import type { IpPacket } from '../wire/ip.js';
import { IPV4_AT_SOURCE } from '../wire/ipv4.js';
import { IPV6_AT_SOURCE } from '../wire/ipv6.js';

/**
 * What became of the first fragments of datagrams, so that the later ones, which have no ports, go the same way. Nothing
 * is reassembled here, and no fragment is kept: the kernel of the server that gets them all judges overlaps and gaps.
 *
 * - A datagram is known by its addresses and identification, and for IPv4 by its protocol (RFC 791 section 3.2, RFC 8200
 *   section 4.5).
 * - Another first fragment with the same identification takes the place of the one before: identifications are used
 *   again.
 * - A later fragment that comes before its first one, in an earlier batch, is dropped.
 * - An entry is good for {@link FRAGMENT_LIFETIME_MS}. There are {@link FRAGMENT_ENTRIES} of them, in sets of four; where
 *   a set is full its oldest entry goes. A flood of fragments so shortens how long a datagram may be under way, and does
 *   nothing else; places are hashed with a secret, so that nobody can choose whose.
 */

export const FRAGMENT_ENTRIES = 16_384;
/** As long as RFC 791 waits for the rest of a datagram; fragments of one datagram follow on each other's heels. */
export const FRAGMENT_LIFETIME_MS = 15_000;

const WAYS = 4;
const SETS_MASK = FRAGMENT_ENTRIES / WAYS - 1;
/** Source and destination address, identification, version and protocol. */
const KEY_WORDS = 10;
const KEY_BYTES = 4 * KEY_WORDS;

/** What became of a first fragment, by entry. */
export class FragmentMemory {
  readonly verdict = new Uint8Array(FRAGMENT_ENTRIES);
  /** Index of the trafficset, -1 for none. */
  readonly trafficset = new Int16Array(FRAGMENT_ENTRIES);
  readonly flowHash = new Int32Array(FRAGMENT_ENTRIES);
  /** Where it was sent; as int32, like the hop. */
  readonly nextHop = new Int32Array(FRAGMENT_ENTRIES);
  /** The one hop of its list, 0 for an empty list. */
  readonly hop = new Int32Array(FRAGMENT_ENTRIES);
  /** Index of the next hop to try. */
  readonly hopIndex = new Uint8Array(FRAGMENT_ENTRIES);
  private readonly keys = new Int32Array(FRAGMENT_ENTRIES * KEY_WORDS);
  /** When each entry was made, in milliseconds; 0 for never. */
  private readonly since = new Float64Array(FRAGMENT_ENTRIES);
  private readonly key = new Int32Array(KEY_WORDS);
  private readonly hashKey0: number;
  private readonly hashKey1: number;

  constructor(secret: Uint8Array = randomBytes(8)) {
    const words = new DataView(secret.buffer, secret.byteOffset, 8);
    this.hashKey0 = words.getInt32(0, true);
    this.hashKey1 = words.getInt32(4, true);
  }

  /** The entry of a fragment's datagram; -1 when there is none, or it is too old. @param now in milliseconds, above 0 */
  find(packet: IpPacket, now: number): number {
    const first = this.setOf(packet);
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.isAt(entry)) return now - this.since[entry] <= FRAGMENT_LIFETIME_MS ? entry : -1;
    }
    return -1;
  }

  /** Makes an entry for a first fragment, in place of an older one; what became of it is for the caller to write. */
  note(packet: IpPacket, now: number): number {
    const first = this.setOf(packet);
    let oldest = first;
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.isAt(entry)) {
        oldest = entry;
        break;
      }
      if (this.since[entry] < this.since[oldest]) oldest = entry;
    }
    this.since[oldest] = now;
    this.keys.set(this.key, oldest * KEY_WORDS);
    return oldest;
  }

  /** Takes the packet's key, and finds the first entry of its set. */
  private setOf(packet: IpPacket): number {
    const { data, offset, identification } = packet;
    const { key } = this;
    const isIpv4 = packet.version === 4;
    const addresses = offset + (isIpv4 ? IPV4_AT_SOURCE : IPV6_AT_SOURCE);
    const words = isIpv4 ? 2 : 8;
    for (let i = 0; i < 8; i++) key[i] = i < words ? data.getInt32(addresses + 4 * i) : 0;
    key[8] = identification;
    // What follows an IPv6 fragment header may be another extension header, and need not be the same in all fragments.
    key[9] = isIpv4 ? packet.protocol : 0x600;
    return (halfSipHash24(key, KEY_BYTES, this.hashKey0, this.hashKey1) & SETS_MASK) * WAYS;
  }

  private isAt(entry: number): boolean {
    if (this.since[entry] === 0) return false;
    const at = entry * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) if (this.keys[at + i] !== this.key[i]) return false;
    return true;
  }
}
