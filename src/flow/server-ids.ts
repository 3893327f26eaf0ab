/**
 * DIPs by server ID: an open-addressing table of byte strings of one length, made once and then only read. The IDs come
 * from the configuration, so that nobody else can make its chains long.
 *
 * IDs are kept as words, filled up with zeros: most have no more than four bytes, and are one number.
 */

export interface ServerId {
  /** 1 to 15 bytes, all of the same length and different. */
  readonly id: Uint8Array;
  /** Host-order IPv4 address. */
  readonly dip: number;
}

export class ServerIds {
  /** Bytes of an ID; 0 when there are none. */
  private readonly stride: number;
  private readonly mask: number;
  /** Words of an ID. */
  private readonly words: number;
  private readonly ids: Int32Array;
  /** The ID that is looked for. */
  private readonly wanted = new Int32Array(4);
  /** As int32; 0 where a place is empty. */
  private readonly dips: Int32Array;

  constructor(entries: readonly ServerId[]) {
    // At most half full, so that a search ends soon.
    let places = 2;
    while (places < 2 * entries.length) places *= 2;
    this.stride = entries[0]?.id.length ?? 0;
    this.mask = places - 1;
    this.words = (this.stride + 3) >>> 2;
    this.ids = new Int32Array(places * this.words);
    this.dips = new Int32Array(places);
    for (const { id, dip } of entries) {
      let place = this.load(id) & this.mask;
      while (this.dips[place] !== 0) place = (place + 1) & this.mask;
      this.ids.set(this.wanted.subarray(0, this.words), place * this.words);
      this.dips[place] = dip | 0;
    }
  }

  /** @param id its first bytes, as many as IDs have; @returns the DIP as an int32, 0 when no server has that ID */
  find(id: Uint8Array): number {
    const { mask, dips } = this;
    for (let place = this.load(id) & mask; dips[place] !== 0; place = (place + 1) & mask) {
      if (this.isAt(place)) return dips[place];
    }
    return 0;
  }

  /** Makes words of an ID. @returns its hash */
  private load(id: Uint8Array): number {
    const { wanted, stride } = this;
    let hash = 0;
    let value = 0;
    for (let i = 0; i < stride; i++) {
      value = (value << 8) | id[i];
      if ((i & 3) !== 3 && i + 1 !== stride) continue;
      wanted[i >>> 2] = value;
      hash = Math.imul(hash ^ value, 0x9e3779b1);
      value = 0;
    }
    return hash >>> 15;
  }

  private isAt(place: number): boolean {
    const { ids, wanted, words } = this;
    const at = place * words;
    if (ids[at] !== wanted[0]) return false;
    for (let word = 1; word < words; word++) if (ids[at + word] !== wanted[word]) return false;
    return true;
  }
}
