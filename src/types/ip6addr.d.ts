/** The part of `ip6addr` that is used here; the package ships no declarations. */
declare module 'ip6addr' {
  interface Addr {
    /** Writes the 16 bytes in network order into `buffer` and returns it. */
    toBuffer(buffer: Buffer): Buffer;
    /** IPv4 (or IPv4-mapped) addresses as a host-order number. */
    toLong(): number;
  }

  /** @throws Error on anything that is no IPv4 or IPv6 address. */
  export function parse(text: string): Addr;
}
