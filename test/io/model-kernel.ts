import type { DurableLookup, SocketEnds } from '../../src/io/socket-ends.js';
import { type SocketQueries, SocketState, TUPLE_SIZE } from '../../src/path/sockets.js';

/**
 * A kernel's TCP sockets as far as a lookup can see them, for flows `flow(0)`, `flow(1)` ...
 *
 * - Handshakes and TIME_WAIT are found, and vanish silently.
 * - A full socket is found until it is unhashed. It is freed then, or, if its program keeps it open after a reset,
 *   some time later. Freeing announces it, and announcements arrive later still.
 */
export type ModelState = 'handshake' | 'full' | 'time-wait';

/** A socket that can no longer be found. */
export interface ModelSocket {
  readonly number: number;
  readonly cookie: number;
}

export class ModelKernel implements DurableLookup {
  cookies = new Uint32Array(128);
  readonly sockets = new Map<number, ModelState>();
  /** Unhashed and not freed: their programs have not closed them yet. */
  readonly dead: ModelSocket[] = [];
  /** Freed, the announcement not yet sent. */
  readonly unannounced: ModelSocket[] = [];
  private readonly cookieByNumber = new Map<number, number>();
  private lastCookie = 0;
  readonly listeners: ModelEnds[] = [];
  listening = true;
  failing = false;
  /** Queries answered. */
  asked = 0;
  /** Called once, after the next answers. */
  afterAnswer: () => void = () => {};

  resolve(queries: SocketQueries): void {
    if (this.cookies.length < 2 * queries.capacity) this.cookies = new Uint32Array(2 * queries.capacity);
    for (let i = 0; i < queries.count; i++) {
      this.asked++;
      const number = numberOf(queries, i);
      const socket = this.sockets.get(number);
      this.cookies[2 * i] = socket === 'full' ? this.cookieOf(number) : 0;
      this.cookies[2 * i + 1] = 0;
      queries.state[i] = this.failing
        ? SocketState.Failed
        : socket !== undefined
          ? SocketState.Established
          : this.listening
            ? SocketState.Listening
            : SocketState.None;
    }
    const then = this.afterAnswer;
    this.afterAnswer = () => {};
    then();
  }

  synAccepted(): void {}
  completesCookie(): boolean {
    return false;
  }
  delivered(): void {}
  close(): void {}

  /** A SYN arrives: a handshake begins, unless the flow has a socket that is alive. */
  syn(number: number): void {
    const socket = this.sockets.get(number);
    if (socket === undefined || socket === 'time-wait') this.sockets.set(number, 'handshake');
  }

  /** The handshake ends well; @param cookie also without a handshake socket */
  establish(number: number, cookie = false): void {
    if (cookie || this.sockets.get(number) === 'handshake') this.sockets.set(number, 'full');
  }

  /** A full socket ends in order: freed at once, TIME_WAIT in its place. */
  finish(number: number): void {
    if (this.sockets.get(number) !== 'full') return;
    this.sockets.set(number, 'time-wait');
    this.unannounced.push(this.take(number));
  }

  /** A full socket is reset; its program has not noticed yet. */
  reset(number: number): void {
    if (this.sockets.get(number) !== 'full') return;
    this.sockets.delete(number);
    this.dead.push(this.take(number));
  }

  /** The programs close what was reset. */
  reap(): void {
    this.unannounced.push(...this.dead.splice(0));
  }

  /** A handshake or TIME_WAIT runs out. */
  expire(number: number): void {
    if (this.sockets.get(number) !== 'full') this.sockets.delete(number);
  }

  announce(): void {
    for (const socket of this.unannounced.splice(0)) {
      for (const ends of this.listeners) ends.waiting.push(socket);
    }
  }

  /** A cookie is made when somebody first asks for it. */
  private cookieOf(number: number): number {
    const cookie = this.cookieByNumber.get(number) ?? ++this.lastCookie;
    this.cookieByNumber.set(number, cookie);
    return cookie;
  }

  private take(number: number): ModelSocket {
    const cookie = this.cookieOf(number);
    this.cookieByNumber.delete(number);
    return { number, cookie };
  }
}

/** One thread's queue of announcements. */
export class ModelEnds implements SocketEnds {
  readonly cookies = new Uint32Array(4);
  readonly waiting: ModelSocket[] = [];
  private lost = false;

  constructor(kernel: ModelKernel) {
    kernel.listeners.push(this);
  }

  /** The queue runs over: nobody knows what was in it. */
  overflow(): void {
    this.waiting.length = 0;
    this.lost = true;
  }

  take(): number {
    if (this.lost) {
      this.lost = false;
      return -1;
    }
    const some = this.waiting.splice(0, 2);
    some.forEach(({ cookie }, i) => {
      this.cookies[2 * i] = cookie;
      this.cookies[2 * i + 1] = 0;
    });
    return some.length;
  }

  close(): void {}
}

function numberOf(queries: SocketQueries, index: number): number {
  return queries.tuplesData.getUint16(index * TUPLE_SIZE + 34);
}
