import { close, fstat, open, readSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { CaptureError } from './errors.js';

/** Bytes of a capture, in order, from wherever they come. */
export interface ByteSource {
  /** Reads into `[offset, into.length)`, which is not empty, what is there at once; 0 at the end. */
  read(into: Buffer, offset: number): Promise<number>;
  /** Bytes taken from the file so far. */
  readonly bytesRead: number;
  /** Size of the file; null when it is none. */
  readonly size: number | null;
  /** Why what was read ended before its end; null when it did not. */
  readonly cut: string | null;
  close(): Promise<void>;
}

const STANDARD_INPUT = 0;

/** How long signals and timers may have to wait. */
const TURN_MS = 5;

const openFile = promisify(open);
const statOpen = promisify(fstat);
const closeFile = promisify(close);

/** @param path `-` is standard input. @throws CaptureError when it is a directory or a terminal, or cannot be opened */
export async function openSource(path: string): Promise<ByteSource> {
  const standardInput = path === '-';
  const fd = standardInput ? STANDARD_INPUT : await openPath(path);
  if (isatty(fd)) {
    if (!standardInput) await closeFile(fd);
    throw new CaptureError(
      `${nameOf(path)} is a terminal: pipe a capture into it (tcpdump -w - | twohop ...)`,
    );
  }
  const stats = await statOpen(fd);
  if (stats.isDirectory()) {
    if (!standardInput) await closeFile(fd);
    throw new CaptureError(`${nameOf(path)} is a directory: name a capture file in it`);
  }
  if (stats.isFIFO() || stats.isSocket())
    return new StreamSource(new Socket({ fd, readable: true, writable: false }));
  return new FileSource(fd, stats, !standardInput);
}

/** How messages call it. */
export function nameOf(path: string): string {
  return path === '-' ? 'standard input' : path;
}

async function openPath(path: string): Promise<number> {
  try {
    return await openFile(path, 'r');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CaptureError(`${path} cannot be read: ${reason}`, { cause });
  }
}

class FileSource implements ByteSource {
  bytesRead = 0;
  readonly size: number | null;
  readonly cut = null;
  private readonly fd: number;
  private readonly owned: boolean;
  private lastTurn = performance.now();

  constructor(fd: number, stats: Stats, owned: boolean) {
    this.fd = fd;
    this.size = stats.isFile() ? stats.size : null;
    this.owned = owned;
  }

  /**
   * Reads on this thread: what another one had read would come out of its processor's cache, which costs more than the
   * reading. The event loop gets its turn every few milliseconds.
   */
  async read(into: Buffer, offset: number): Promise<number> {
    if (performance.now() - this.lastTurn > TURN_MS) {
      await setImmediate();
      this.lastTurn = performance.now();
    }
    const bytes = readSync(this.fd, into, offset, into.length - offset, null);
    this.bytesRead += bytes;
    return bytes;
  }

  async close(): Promise<void> {
    if (this.owned) await closeFile(this.fd);
  }
}

/**
 * A pipe, FIFO or socket. Read by the event loop, not by a thread: one that waits for a pipe nobody writes to would
 * keep the process from ending.
 */
export class StreamSource implements ByteSource {
  bytesRead = 0;
  readonly size = null;
  readonly cut = null;
  private chunk: Buffer = Buffer.alloc(0);
  private failure: Error | null = null;
  private ended = false;
  private wake: () => void = () => {};

  constructor(private readonly stream: Readable) {
    stream.on('readable', () => this.wake());
    stream.on('end', () => this.end(null));
    stream.on('close', () => this.end(null));
    stream.on('error', (error) => this.end(error));
  }

  async read(into: Buffer, offset: number): Promise<number> {
    while (this.chunk.length === 0) {
      const chunk: Buffer | null = this.stream.read();
      if (chunk !== null) {
        this.bytesRead += chunk.length;
        this.chunk = chunk;
        break;
      }
      if (this.failure !== null) throw this.failure;
      if (this.ended) return 0;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const bytes = this.chunk.copy(into, offset);
    this.chunk = this.chunk.subarray(bytes);
    return bytes;
  }

  close(): Promise<void> {
    this.stream.destroy();
    return Promise.resolve();
  }

  private end(failure: Error | null): void {
    this.failure ??= failure;
    this.ended = true;
    this.wake();
  }
}
