import { check, type Libc, libc, NativeMemory } from './libc.js';
import { Errno, SystemError } from './system-error.js';

/**
 * An io_uring(7) for reads and writes that never wait: many with one system call, where a device has no call of its
 * own for that. Source: io_uring_setup(2), io_uring_enter(2), include/uapi/linux/io_uring.h.
 *
 * Nothing is ever under way between two calls: what would have to wait fails with EAGAIN (RWF_NOWAIT), so that the
 * kernel has answered everything when {@link submit} returns, in the order asked. Memory is shared with the kernel
 * only while the thread is inside it, hence no barriers.
 */

const IO_URING_SETUP = 425;
const IO_URING_ENTER = 426;
const SETUP_CQSIZE = 1 << 3;
const SETUP_SUBMIT_ALL = 1 << 7;
const SETUP_COOP_TASKRUN = 1 << 8;
const SETUP_SINGLE_ISSUER = 1 << 12;
/** The memory is ours, not to be mapped: since Linux 6.5. */
const SETUP_NO_MMAP = 1 << 14;
const ENTER_GETEVENTS = 1;

/** `struct io_uring_params`, and where its two tables of offsets begin. */
const PARAMS_SIZE = 120;
const PARAMS_CQ_ENTRIES = 4;
const PARAMS_FLAGS = 8;
const PARAMS_SQ = 40;
const PARAMS_SQ_MEMORY = 72;
const PARAMS_CQ = 80;
const PARAMS_CQ_MEMORY = 112;

/** `struct io_uring_sqe`. */
const SQE_SIZE = 64;
const SQE_FD = 4;
const SQE_ADDRESS = 16;
const SQE_LENGTH = 24;
const SQE_RW_FLAGS = 28;
const SQE_USER_DATA = 32;
const OP_READ = 22;
const OP_WRITE = 23;
const RWF_NOWAIT = 8;

/** `struct io_uring_cqe`: user_data@0, res@8, flags@12. */
const CQE_SIZE = 16;
const CQE_RESULT = 8;

const PAGE = 4096;
/** Requests in one call: their entries fill one page, the two rings another. */
export const RING_CAPACITY = PAGE / SQE_SIZE;

const NO_IO_URING = {
  ENOSYS: 'This kernel has no io_uring, or the container forbids it',
  EPERM: 'io_uring is forbidden here (kernel.io_uring_disabled, or the container)',
  EINVAL: 'This kernel is too old: Linux 6.5 has what is needed',
  ENOMEM: 'No memory may be locked (ulimit -l)',
};

export class Ring {
  private descriptor: number;
  private readonly libc: Libc = libc();
  private readonly requests: Page;
  private readonly rings: Page;
  private readonly results = new Int32Array(RING_CAPACITY);
  private readonly sqTail: number;
  private readonly cqHead: number;
  private readonly cqTail: number;
  private readonly cqMask: number;
  private readonly cqes: number;
  /** Requests prepared and not submitted. */
  private count = 0;
  /** As the rings have them: the entry of the next request, and the next answer. */
  private tail = 0;
  private head = 0;

  private constructor(params: NativeMemory, fd: number, requests: Page, rings: Page) {
    this.descriptor = fd;
    this.requests = requests;
    this.rings = rings;
    const offset = (at: number) => params.data.getUint32(at, true);
    this.sqTail = offset(PARAMS_SQ + 4) >> 2;
    this.cqHead = offset(PARAMS_CQ) >> 2;
    this.cqTail = offset(PARAMS_CQ + 4) >> 2;
    this.cqMask = rings.words[offset(PARAMS_CQ + 8) >> 2];
    this.cqes = offset(PARAMS_CQ + 20);
    const entries = offset(PARAMS_SQ + 24) >> 2;
    for (let i = 0; i < RING_CAPACITY; i++) {
      rings.words[entries + i] = i;
      requests.data.setUint32(i * SQE_SIZE + SQE_RW_FLAGS, RWF_NOWAIT, true);
    }
  }

  /** Used by the thread that opens it only. Throws a {@link SystemError} where the kernel has or allows none. */
  static open(): Ring {
    const params = new NativeMemory(PARAMS_SIZE);
    const requests = newPage();
    const rings = newPage();
    params.data.setUint32(PARAMS_CQ_ENTRIES, 2 * RING_CAPACITY, true);
    params.data.setUint32(
      PARAMS_FLAGS,
      SETUP_CQSIZE | SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER | SETUP_NO_MMAP,
      true,
    );
    params.setPointer(PARAMS_SQ_MEMORY, requests.address);
    params.setPointer(PARAMS_CQ_MEMORY, rings.address);
    const fd = check(
      libc().syscall(IO_URING_SETUP, RING_CAPACITY, params.address, 0, 0, 0, 0),
      'io_uring_setup',
      '',
      NO_IO_URING,
    );
    return new Ring(params, fd, requests, rings);
  }

  /** Prepares a read(2) as the next request. @param address as in {@link Libc} */
  read(fd: number, address: number, length: number): void {
    this.prepare(OP_READ, fd, address, length);
  }

  /** Prepares a write(2) as the next request. */
  write(fd: number, address: number, length: number): void {
    this.prepare(OP_WRITE, fd, address, length);
  }

  private prepare(operation: number, fd: number, address: number, length: number): void {
    const index = this.count++;
    const { words } = this.requests;
    const at = ((this.tail + index) & (RING_CAPACITY - 1)) * (SQE_SIZE / 4);
    words[at] = operation;
    words[at + SQE_FD / 4] = fd;
    words[at + SQE_ADDRESS / 4] = address;
    words[at + SQE_ADDRESS / 4 + 1] = address / 0x1_0000_0000;
    words[at + SQE_LENGTH / 4] = length;
    words[at + SQE_USER_DATA / 4] = index;
  }

  /**
   * Makes the calls that were prepared, at most {@link RING_CAPACITY}, in their order.
   * @returns how many: ask {@link result} for each. Throws a {@link SystemError} when the ring itself fails.
   */
  submit(): number {
    const { count } = this;
    if (count === 0) return 0;
    this.count = 0;
    this.tail = (this.tail + count) | 0;
    this.rings.words[this.sqTail] = this.tail;
    let taken = this.enter(count, 0);
    let answered = this.collect();
    // Never seen: the kernel was short of memory half-way, or took its time over one.
    while (answered < count) {
      taken += this.enter(count - taken, count - answered);
      answered += this.collect();
    }
    return count;
  }

  /** What call `index` of the last {@link submit} returned: as the system call, but failures as -errno. */
  result(index: number): number {
    return this.results[index];
  }

  private enter(requests: number, answers: number): number {
    const flags = answers > 0 ? ENTER_GETEVENTS : 0;
    const taken = this.libc.syscall(IO_URING_ENTER, this.descriptor, requests, answers, flags, 0, 0);
    if (taken >= 0) return taken;
    const errno = this.libc.errno();
    if (errno === Errno.EINTR || errno === Errno.EAGAIN) return 0;
    throw new SystemError('io_uring_enter', errno);
  }

  /** Takes the answers that are there. @returns how many */
  private collect(): number {
    const { words } = this.rings;
    const first = this.head;
    const end = words[this.cqTail];
    let head = first;
    for (; head !== end; head = (head + 1) | 0) {
      const at = (this.cqes + (head & this.cqMask) * CQE_SIZE) >> 2;
      this.results[words[at]] = words[at + CQE_RESULT / 4];
    }
    this.head = head;
    words[this.cqHead] = head;
    return (head - first) | 0;
  }

  close(): void {
    if (this.descriptor >= 0) this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}

/** A page of memory that the kernel may share. */
interface Page {
  readonly address: number;
  readonly data: DataView;
  readonly words: Int32Array;
}

/**
 * Not from the heap, and never given back: the kernel takes leave of a ring after it was closed, on a thread of its
 * own. With pages from malloc, freed at once, the heap was found damaged.
 */
function newPage(): Page {
  const { address, buffer } = libc().pages(PAGE);
  return { address, data: new DataView(buffer), words: new Int32Array(buffer) };
}
