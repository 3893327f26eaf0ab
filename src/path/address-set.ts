/** A set of IPv4 addresses, made once and then only asked: an open-addressing table, at most half full. */
export class AddressSet {
  private readonly mask: number;
  /** As int32; 0 where a place is empty. */
  private readonly places: Int32Array;

  /** @param addresses host order, none of them 0 */
  constructor(addresses: Uint32Array) {
    let size = 2;
    while (size < 2 * addresses.length) size *= 2;
    this.mask = size - 1;
    this.places = new Int32Array(size);
    for (const address of addresses) {
      let place = placeOf(address | 0) & this.mask;
      while (this.places[place] !== 0) place = (place + 1) & this.mask;
      this.places[place] = address | 0;
    }
  }

  /** @param address as an int32, not 0 */
  has(address: number): boolean {
    const { mask, places } = this;
    let place = placeOf(address) & mask;
    while (places[place] !== 0) {
      if (places[place] === address) return true;
      place = (place + 1) & mask;
    }
    return false;
  }
}

/** Fibonacci hashing: DIPs count up, and their differences spread. */
function placeOf(address: number): number {
  return Math.imul(address, 0x9e3779b1) >>> 15;
}
