import { check, type Libc, libc, NativeMemory, O_CLOEXEC, O_NONBLOCK } from './libc.js';
import { Errno, SystemError } from './system-error.js';

/** `struct pollfd`: fd@0, events@4, revents@6. */
const POLLFD_SIZE = 8;
const POLLIN = 0x1;

/**
 * Waits with poll(2) until one of a fixed set of descriptors has something to read. It blocks the thread: for
 * data-plane workers. Give it a timeout of 100 ms at most and a {@link WakeEvent} among the descriptors: a thread
 * that waits for ever holds up the end of the process.
 */
export class Poller {
  private readonly count: number;
  private readonly pollfds: NativeMemory;
  private readonly libc: Libc = libc();

  constructor(fds: readonly number[]) {
    this.count = fds.length;
    this.pollfds = new NativeMemory(Math.max(1, fds.length) * POLLFD_SIZE);
    for (let i = 0; i < fds.length; i++) {
      this.pollfds.data.setInt32(i * POLLFD_SIZE, fds[i], true);
      this.pollfds.data.setInt16(i * POLLFD_SIZE + 4, POLLIN, true);
    }
  }

  /** @returns how many descriptors are ready: 0 after the timeout or a signal. */
  wait(timeoutMs: number): number {
    const ready = this.libc.poll(this.pollfds.address, this.count, timeoutMs);
    if (ready >= 0) return ready;
    const errno = this.libc.errno();
    if (errno !== Errno.EINTR) throw new SystemError('poll', errno);
    for (let i = 0; i < this.count; i++) this.pollfds.data.setInt16(i * POLLFD_SIZE + 6, 0, true);
    return 0;
  }

  /** Whether descriptor `index` was ready in the last wait. An error counts: reading then tells which. */
  ready(index: number): boolean {
    return this.pollfds.data.getInt16(index * POLLFD_SIZE + 6, true) !== 0;
  }
}

/**
 * An eventfd(2): wakes a thread from {@link Poller.wait}. Any thread of the process may signal it; hand over the
 * descriptor's number and make a `new WakeEvent(fd)` there. Who created it closes it, after the others are done.
 */
export class WakeEvent {
  private descriptor: number;
  private readonly libc: Libc = libc();
  private readonly value = new NativeMemory(8);

  constructor(fd: number) {
    this.descriptor = fd;
  }

  static create(): WakeEvent {
    return new WakeEvent(check(libc().eventfd(0, O_NONBLOCK | O_CLOEXEC), 'eventfd'));
  }

  get fd(): number {
    return this.descriptor;
  }

  /** Makes the descriptor readable, until {@link drain}. */
  signal(): void {
    this.value.setPointer(0, 1);
    const written = this.libc.write(this.descriptor, this.value.address, 8);
    // EAGAIN: the counter is full, so the event is signalled already.
    if (written < 0 && this.libc.errno() !== Errno.EAGAIN)
      throw new SystemError('write', this.libc.errno(), 'eventfd');
  }

  /** Makes it unreadable again; false when nobody had signalled. */
  drain(): boolean {
    return this.libc.read(this.descriptor, this.value.address, 8) === 8;
  }

  close(): void {
    if (this.descriptor >= 0) this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
