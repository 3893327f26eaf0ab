/** Numbers of servers by address: each bucket of a table is looked up in it, so that a Map would take most of a step. */
export class AddressNumbers {
  /** Of an open hash table, 0 where a place is free; a power of two of them, at most half in use. */
  private addresses = new Uint32Array(64);
  private numbers = new Uint32Array(64);
  private used = 0;

  /** @returns 0 when there is no such address */
  get(address: number): number {
    const { addresses } = this;
    const mask = addresses.length - 1;
    let at = spread(address) & mask;
    while (addresses[at] !== address) {
      if (addresses[at] === 0) return 0;
      at = (at + 1) & mask;
    }
    return this.numbers[at];
  }

  /** @param address not 0, and not known yet */
  add(address: number, number: number): void {
    if (2 * ++this.used > this.addresses.length) this.grow();
    const mask = this.addresses.length - 1;
    let at = spread(address) & mask;
    while (this.addresses[at] !== 0) at = (at + 1) & mask;
    this.addresses[at] = address;
    this.numbers[at] = number;
  }

  private grow(): void {
    const { addresses, numbers } = this;
    this.addresses = new Uint32Array(4 * addresses.length);
    this.numbers = new Uint32Array(4 * addresses.length);
    this.used = 1;
    for (const [at, address] of addresses.entries()) {
      if (address !== 0) this.add(address, numbers[at]);
    }
  }
}

/** Addresses of a network are alike in their high bits, and often in the low ones: all are to count. */
function spread(address: number): number {
  const mixed = Math.imul(address, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
