import { type SocketQueries, SocketState, sameWords, TUPLE_WORDS } from '../path/sockets.js';

/** Words per entry (one cache line): tuple 9, then these, then one unused. */
const STRIDE = 16;
const VERSION = TUPLE_WORDS;
/** Empty, or one more than the SocketState remembered. */
const KIND = TUPLE_WORDS + 1;
const MARK = TUPLE_WORDS + 2;
/** Milliseconds, wrapping. */
const EXPIRY = TUPLE_WORDS + 3;
const COOKIE = TUPLE_WORDS + 4;
const COOKIE_HIGH = TUPLE_WORDS + 5;

const EMPTY = 0;
const FOUND = SocketState.Established + 1;

/** No such entry. */
export const ABSENT = -1;

/**
 * Answers to TCP lookups, by tuple: two places for each, of fixed size, a newer flow in the place of the older of two.
 * With one place each, ten thousand flows in 65,536 entries would make every seventh share its own. Sockets that
 * were found can also be reached by their cookies, to be forgotten when they end. Entries are named by position.
 */
export class SocketTable {
  private readonly words: Int32Array;
  /** By cookie: the position of the socket. Every socket found is reachable this way, or voided. */
  private readonly placeOf: Int32Array;
  private readonly mask: number;

  /** @param entries a power of two; @param counters where overwritten entries are counted */
  constructor(
    entries: number,
    private readonly counters: { evictions: number },
  ) {
    this.words = new Int32Array(entries * STRIDE);
    this.placeOf = new Int32Array(entries);
    this.mask = entries - 1;
  }

  /** @returns the position of the query's entry, or {@link ABSENT} when there is none or it has expired */
  find(queries: SocketQueries, index: number, hash: number, now: number): number {
    const at = (hash & this.mask) * STRIDE;
    if (this.holds(at, queries, index)) return this.isValid(at, now) ? at : ABSENT;
    const other = ((hash ^ 1) & this.mask) * STRIDE;
    return this.holds(other, queries, index) && this.isValid(other, now) ? other : ABSENT;
  }

  /** Whether the entry has not been voided. */
  exists(at: number): boolean {
    return this.words[at + KIND] !== EMPTY;
  }

  /** The SocketState remembered. */
  state(at: number): number {
    return this.words[at + KIND] - 1;
  }

  /** What {@link store} was given. */
  mark(at: number): number {
    return this.words[at + MARK];
  }

  /** @param mark kept with the entry; @param expiry in milliseconds, wrapping. @returns the entry's position */
  store(
    queries: SocketQueries,
    index: number,
    hash: number,
    state: number,
    mark: number,
    expiry: number,
  ): number {
    const { words } = this;
    const at = this.placeFor(queries, index, hash);
    if (words[at + KIND] !== EMPTY && !this.holds(at, queries, index)) this.counters.evictions++;
    for (let word = 0; word < TUPLE_WORDS; word++) {
      words[at + word] = queries.words[index * TUPLE_WORDS + word];
    }
    words[at + VERSION] = queries.version[index];
    words[at + KIND] = state + 1;
    words[at + MARK] = mark;
    words[at + EXPIRY] = expiry;
    return at;
  }

  /**
   * Makes the socket at `at` reachable by its cookie. Cookies are counted up, so recent ones seldom share a slot; of
   * two that do, the older socket is forgotten.
   */
  name(at: number, low: number, high: number): void {
    const { words, placeOf } = this;
    const slot = low & this.mask;
    const other = placeOf[slot];
    if (other !== at && words[other + KIND] === FOUND && (words[other + COOKIE] & this.mask) === slot) {
      words[other + KIND] = EMPTY;
      this.counters.evictions++;
    }
    placeOf[slot] = at;
    words[at + COOKIE] = low;
    words[at + COOKIE_HIGH] = high;
  }

  /** Voids the entry of the socket with this cookie, if there is one. */
  forget(low: number, high: number): void {
    const { words } = this;
    const at = this.placeOf[low & this.mask];
    if (words[at + KIND] === FOUND && words[at + COOKIE] === low && words[at + COOKIE_HIGH] === high) {
      words[at + KIND] = EMPTY;
    }
  }

  /** The place that a tuple has already: it must never have both. Otherwise the free one, or the older one. */
  private placeFor(queries: SocketQueries, index: number, hash: number): number {
    const { words } = this;
    const first = (hash & this.mask) * STRIDE;
    if (this.holds(first, queries, index)) return first;
    const second = ((hash ^ 1) & this.mask) * STRIDE;
    if (this.holds(second, queries, index)) return second;
    if (words[first + KIND] === EMPTY) return first;
    if (words[second + KIND] === EMPTY) return second;
    return ((words[first + EXPIRY] - words[second + EXPIRY]) | 0) <= 0 ? first : second;
  }

  private isValid(at: number, now: number): boolean {
    return this.words[at + KIND] !== EMPTY && ((this.words[at + EXPIRY] - now) | 0) > 0;
  }

  /** Whether the tuple has this place, or had it when it was voided. */
  private holds(at: number, queries: SocketQueries, index: number): boolean {
    const { words } = this;
    return (
      words[at + VERSION] === queries.version[index] &&
      sameWords(words, at, queries.words, index * TUPLE_WORDS)
    );
  }
}
