import type { DurableLookup, SocketEnds } from '../../src/io/socket-ends.js';
import { SocketQueries, SocketState, TUPLE_SIZE } from '../../src/path/sockets.js';
import { flow, queriesFor } from './queries.js';

/**
 * A kernel's TCP sockets as far as a lookup can see them, for flows `flow(0)`, `flow(1)` ...
 *
 * - Handshakes and TIME_WAIT are found, and vanish silently.
 * - A full socket is found until it is unhashed. It is freed then, or, if its program keeps it open after a reset,
 *   some time later. Freeing announces it, and announcements arrive later still.
 */
export type ModelState = 'handshake' | 'full' | 'time-wait';

export class ModelKernel implements DurableLookup {
  durable = new Uint8Array(64);
  readonly sockets = new Map<number, ModelState>();
  /** Unhashed and not freed: their programs have not closed them yet. */
  readonly dead: number[] = [];
  /** Freed, the announcement not yet sent. */
  readonly unannounced: number[] = [];
  readonly listeners: ModelEnds[] = [];
  listening = true;
  failing = false;
  /** Queries answered. */
  asked = 0;
  /** Called once, after the next answers. */
  afterAnswer: () => void = () => {};

  resolve(queries: SocketQueries): void {
    if (this.durable.length < queries.capacity) this.durable = new Uint8Array(queries.capacity);
    for (let i = 0; i < queries.count; i++) {
      this.asked++;
      const socket = this.sockets.get(numberOf(queries, i));
      this.durable[i] = socket === 'full' ? 1 : 0;
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
    this.unannounced.push(number);
  }

  /** A full socket is reset; its program has not noticed yet. */
  reset(number: number): void {
    if (this.sockets.get(number) !== 'full') return;
    this.sockets.delete(number);
    this.dead.push(number);
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
    for (const number of this.unannounced.splice(0)) {
      for (const ends of this.listeners) ends.waiting.push(number);
    }
  }
}

/** One thread's queue of announcements. */
export class ModelEnds implements SocketEnds {
  tuples = new SocketQueries(1);
  readonly waiting: number[] = [];
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
    this.tuples = queriesFor(some.map((number) => flow(number)));
    return some.length;
  }

  close(): void {}
}

function numberOf(queries: SocketQueries, index: number): number {
  return queries.tuplesData.getUint16(index * TUPLE_SIZE + 34);
}
