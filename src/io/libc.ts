import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import type { PacketBatch } from '../path/batch.js';
import { type Advice, MissingMeansError, SystemError } from './system-error.js';

/**
 * System calls through `koffi` on memory that we own, from the main thread and from workers alike.
 *
 * Addresses are plain numbers (user space ends below 2^47), the fastest argument koffi knows. Nothing checks them:
 * take them only from {@link NativeMemory} or {@link ArenaAddress}, keep the buffer referenced, check lengths.
 * Every call returns -1 on failure; ask {@link Libc.errno} at once, before any other call.
 */
export interface Libc {
  open(path: string, flags: number): number;
  close(fd: number): number;
  read(fd: number, address: number, length: number): number;
  write(fd: number, address: number, length: number): number;
  writev(fd: number, vectors: number, count: number): number;
  poll(pollfds: number, count: number, timeoutMs: number): number;
  /** The same on a thread of libuv's pool: keep the memory referenced until it settles. @returns -1 on failure */
  pollAside(pollfds: number, count: number, timeoutMs: number): Promise<number>;
  ioctl(fd: number, request: number, argument: number): number;
  eventfd(initial: number, flags: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  getsockname(fd: number, address: number, lengthAddress: number): number;
  setsockopt(fd: number, level: number, option: number, address: number, length: number): number;
  getsockopt(fd: number, level: number, option: number, address: number, lengthAddress: number): number;
  sendto(
    fd: number,
    address: number,
    length: number,
    flags: number,
    name: number,
    nameLength: number,
  ): number;
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number;
  /** Fresh memory of its own pages, zeroed, until the process ends: for what the kernel may write to after a close. */
  pages(size: number): { readonly address: number; readonly buffer: ArrayBuffer };
  /** syscall(2), for what libc has no function for. */
  syscall(number: number, a: number, b: number, c: number, d: number, e: number, f: number): number;
  /** The error number of this thread's last failed call. */
  errno(): number;
  addressOf(bytes: Uint8Array): number;
}

// Constants of the 64-bit Linux ABI, as in the kernel's uapi headers.
export const O_RDWR = 0x2;
export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;

const PROT_READ = 0x1;
const PROT_WRITE = 0x2;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;

export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_ATTACH_FILTER = 26;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MEMINFO = 55;

export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;

let loaded: Libc | undefined;

/** The bindings; loads koffi at the first call, so that what moves no real packets does not need it. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new MissingMeansError(
      `Moving packets needs Linux on x86-64 or arm64; this is ${process.platform} on ${process.arch}`,
    );
  }
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const c = koffi.load('libc.so.6');
    const mmap = c.func('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'long']);
    const poll = c.func('poll', 'int', ['uintptr_t', 'ulong', 'int']);
    return {
      open: c.func('open', 'int', ['str', 'int']),
      close: c.func('close', 'int', ['int']),
      read: c.func('read', 'long', ['int', 'uintptr_t', 'size_t']),
      write: c.func('write', 'long', ['int', 'uintptr_t', 'size_t']),
      writev: c.func('writev', 'long', ['int', 'uintptr_t', 'int']),
      poll,
      pollAside: (pollfds, count, timeoutMs) =>
        new Promise((resolve) => {
          poll.async(pollfds, count, timeoutMs, (error: unknown, ready: number) =>
            resolve(error === null || error === undefined ? ready : -1),
          );
        }),
      ioctl: c.func('ioctl', 'int', ['int', 'ulong', 'uintptr_t']),
      eventfd: c.func('eventfd', 'int', ['uint', 'int']),
      socket: c.func('socket', 'int', ['int', 'int', 'int']),
      bind: c.func('bind', 'int', ['int', 'uintptr_t', 'uint']),
      getsockname: c.func('getsockname', 'int', ['int', 'uintptr_t', 'uintptr_t']),
      setsockopt: c.func('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint']),
      getsockopt: c.func('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']),
      sendto: c.func('sendto', 'long', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint']),
      sendmmsg: c.func('sendmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int']),
      recvmmsg: c.func('recvmmsg', 'int', ['int', 'uintptr_t', 'uint', 'int', 'uintptr_t']),
      pages: (size) => {
        const address = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (address === -1) throw new SystemError('mmap', koffi.errno());
        return { address, buffer: koffi.view(BigInt(address), size) };
      },
      syscall: c.func('syscall', 'long', ['long', 'long', 'long', 'long', 'long', 'long', 'long']),
      errno: () => koffi.errno(),
      addressOf: (bytes) => Number(koffi.address(bytes)),
    };
  } catch (cause) {
    throw new MissingMeansError(
      'koffi, the library that makes system calls, could not be loaded. It comes as a prebuilt package for ' +
        'x86-64 and arm64: reinstall with optional dependencies enabled (npm ci --include=optional)',
      { cause },
    );
  }
}

/** Throws a {@link SystemError} when a call failed. For cold paths: opening, configuring. */
export function check(result: number, call: string, subject = '', advice: Advice = {}): number {
  if (result < 0) throw new SystemError(call, libc().errno(), subject, advice);
  return result;
}

/** Zeroed memory at an address that never changes, for structures the kernel reads and writes. */
export class NativeMemory {
  readonly bytes: Buffer;
  readonly data: DataView;
  readonly address: number;

  constructor(size: number) {
    // allocUnsafeSlow: outside V8's heap, where the garbage collector moves nothing.
    this.bytes = Buffer.allocUnsafeSlow(size).fill(0);
    this.data = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
    this.address = libc().addressOf(this.bytes);
  }

  /** Writes a pointer (or any size below 2^53) as 64 bits. */
  setPointer(at: number, value: number): void {
    this.data.setUint32(at, value, true);
    this.data.setUint32(at + 4, value / 0x1_0000_0000, true);
  }
}

/** The address of a batch's arena. A port sees the same batch for ever, so the last answer is remembered. */
export class ArenaAddress {
  private batch: PacketBatch | null = null;
  private address = 0;

  of(batch: PacketBatch): number {
    if (batch !== this.batch) {
      this.address = libc().addressOf(batch.bytes);
      this.batch = batch;
    }
    return this.address;
  }
}
