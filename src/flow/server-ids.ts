/**
 * DIPs by server ID: an open-addressing table of byte strings of one length, made once and then only read. The IDs come
 * from the configuration, so that nobody else can make its chains long.
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
  private readonly ids: Uint8Array;
  /** As int32; 0 where a place is empty. */
  private readonly dips: Int32Array;

  constructor(entries: readonly ServerId[]) {
    // At most half full, so that a search ends soon.
    let places = 2;
    while (places < 2 * entries.length) places *= 2;
    this.stride = entries[0]?.id.length ?? 0;
    this.mask = places - 1;
    this.ids = new Uint8Array(places * this.stride);
    this.dips = new Int32Array(places);
    for (const { id, dip } of entries) {
      let place = this.hash(id) & this.mask;
      while (this.dips[place] !== 0) place = (place + 1) & this.mask;
      this.ids.set(id, place * this.stride);
      this.dips[place] = dip | 0;
    }
  }

  /** @param id its first bytes, as many as IDs have; @returns the DIP as an int32, 0 when no server has that ID */
  find(id: Uint8Array): number {
    const { mask, dips } = this;
    for (let place = this.hash(id) & mask; dips[place] !== 0; place = (place + 1) & mask) {
      if (this.equals(place, id)) return dips[place];
    }
    return 0;
  }

  /** FNV-1a. */
  private hash(id: Uint8Array): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < this.stride; i++) hash = Math.imul(hash ^ id[i], 0x01000193);
    return hash ^ (hash >>> 15);
  }

  private equals(place: number, id: Uint8Array): boolean {
    const at = place * this.stride;
    for (let i = 0; i < this.stride; i++) if (this.ids[at + i] !== id[i]) return false;
    return true;
  }
}
