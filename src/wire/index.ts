/**
 * Bytes and fields: one file per protocol, no I/O, no state, nothing from the rooms above.
 *
 * The contract is the same everywhere:
 *
 * - A **view** is made once and attached to packet after packet. `attach(data, offset, limit)` checks everything that
 *   its accessors rely on and returns a {@link Reason}; it never throws. `[offset, limit)` must lie inside `data`.
 * - After `Reason.Ok` no accessor can fail, and none reads outside `[offset, limit)`. After any other code the view is
 *   still attached to what it was attached to before.
 * - A view owns nothing: when the bytes that `attach` checked are overwritten, attach again. The setters of the views
 *   touch no length, so they leave the view valid; where a checksum covers what they change, they update it.
 * - An **`encode...Into`** function writes a header at `offset` of a buffer of the caller's, every byte of it, and
 *   returns how many. The caller provides the room. Arguments are not checked: they come from code, not from packets.
 * - `IPV4_AT_TTL` and the like are offsets from the start of a header; `IPV4_HEADER` and the like are sizes in bytes.
 *   IPv4 addresses are numbers in host order, IPv6 addresses are named by where their 16 bytes lie.
 */
export * from './address.js';
export * from './checksum.js';
export * from './gre.js';
export * from './gue.js';
export * from './icmp.js';
export * from './icmpv6.js';
export * from './ip.js';
export * from './ipv4.js';
export * from './ipv6.js';
export * from './link.js';
export * from './options.js';
export * from './quic.js';
export * from './reason.js';
export * from './tcp.js';
export * from './udp.js';
export * from './wireguard.js';
