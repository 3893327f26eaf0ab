import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SystemError } from '../system-error.js';
import { CaptureError } from './errors.js';

const STANDARD_OUTPUT = 1;
/** Positions in a buffer are smaller. */
const POSITION = 0x3fff_ffff;
/** Written at once. */
const BUFFER_SIZE = 1 << 20;
/** Longer packets are copied by the engine, which takes an object per copy, and pays from about here. */
const COPY_BY_WORDS = 320;
/** How long to let the reader of a full pipe work before trying again. */
const PIPE_PAUSE_MS = 2;

/**
 * A file under construction: bytes are put into `bytes` at `at` and written when it is full. A regular file is written
 * under another name beside its own, and takes its place when it is complete; pipes, devices and standard output are
 * written to directly.
 */
export class CaptureOutput {
  bytes: Buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  /** The same memory as `bytes`. */
  data: DataView = viewOf(this.bytes);
  /** Where the next byte goes. */
  at = 0;
  /**
   * The reader of the pipe has gone, as `head` does when it has enough. That is no error: what is written from now on
   * is thrown away, and who asks can stop.
   */
  broken = false;
  // The last two buffers that packets came from, with views of them: more than two nobody alternates between.
  private source: Buffer = this.bytes;
  private sourceData: DataView = this.data;
  private otherSource: Buffer = this.bytes;
  private otherSourceData: DataView = this.data;
  private readonly path: string;
  /** Name of the incomplete file; null when there is no other. */
  private readonly temporary: string | null;
  private fd: number;

  private constructor(path: string, temporary: string | null, fd: number) {
    this.path = path;
    this.temporary = temporary;
    this.fd = fd;
  }

  /**
   * @param path `-` is standard output
   * @param inPlace writes a regular file under its own name, too: what is written so far can be read, and stays
   * @throws CaptureError when it cannot be opened
   */
  static open(path: string, inPlace = false): CaptureOutput {
    if (path === '-') return new CaptureOutput('standard output', null, STANDARD_OUTPUT);
    try {
      const existing = statSync(path, { throwIfNoEntry: false });
      if (existing?.isDirectory() === true)
        throw new CaptureError(`${path} is a directory: name a file in it`);
      if (inPlace || (existing !== undefined && !existing.isFile())) {
        return new CaptureOutput(path, null, openSync(path, 'w'));
      }
      return CaptureOutput.openBeside(path, existing);
    } catch (cause) {
      if (cause instanceof CaptureError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CaptureError(`${path} cannot be written: ${reason}`, { cause });
    }
  }

  private static openBeside(path: string, existing: Stats | undefined): CaptureOutput {
    // Behind a link it is the file that is replaced, not the link.
    const target = existing === undefined ? path : realpathSync(path);
    const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
    const fd = openSync(temporary, 'wx');
    if (existing !== undefined) fchmodSync(fd, existing.mode & 0o777);
    return new CaptureOutput(target, temporary, fd);
  }

  /** Makes room for `size` bytes at `at`. `bytes` and `data` may be others afterwards. */
  makeRoom(size: number): void {
    this.flush();
    if (size <= this.bytes.length) return;
    this.bytes = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(size)));
    this.data = viewOf(this.bytes);
  }

  /** Copies `[offset, offset + length)` of `from` to `to`, where room was made. */
  copy(from: Buffer, offset: number, length: number, to: number): void {
    if (length > COPY_BY_WORDS) {
      from.copy(this.bytes, to, offset, offset + length);
      return;
    }
    if (from !== this.source) this.changeSource(from);
    const source = this.sourceData;
    const target = this.data;
    // The masks tell V8 that no sum below can overflow.
    let at = to & POSITION;
    let read = offset & POSITION;
    const end = at + length;
    for (; at <= end - 16; at += 16, read += 16) {
      target.setInt32(at, source.getInt32(read));
      target.setInt32(at + 4, source.getInt32(read + 4));
      target.setInt32(at + 8, source.getInt32(read + 8));
      target.setInt32(at + 12, source.getInt32(read + 12));
    }
    for (; at < end; at++, read++) target.setInt8(at, source.getInt8(read));
  }

  private changeSource(to: Buffer): void {
    const isOther = to === this.otherSource;
    const data = isOther ? this.otherSourceData : viewOf(to);
    this.otherSource = this.source;
    this.otherSourceData = this.sourceData;
    this.source = to;
    this.sourceData = data;
  }

  /** Writes what is in the buffer. @throws SystemError when that fails (a full disk) */
  flush(): void {
    let from = 0;
    while (from < this.at && !this.broken) from += this.writeSome(from);
    this.at = 0;
  }

  /** Completes the file and gives it its name. */
  close(): void {
    if (this.fd < 0) return;
    this.flush();
    this.closeFile();
    if (this.temporary !== null) renameSync(this.temporary, this.path);
  }

  /** Leaves nothing behind but what was written to a pipe, or in place. */
  abandon(): void {
    if (this.fd < 0) return;
    this.closeFile();
    if (this.temporary !== null) rmSync(this.temporary, { force: true });
  }

  private closeFile(): void {
    if (this.fd !== STANDARD_OUTPUT) closeSync(this.fd);
    this.fd = -1;
  }

  private writeSome(from: number): number {
    try {
      return writeSync(this.fd, this.bytes, from, this.at - from);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (code === 'EAGAIN') {
        // Somebody made the pipe non-blocking. Nothing else can be done meanwhile.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_PAUSE_MS);
        return 0;
      }
      if (code === 'EPIPE') {
        this.broken = true;
        return 0;
      }
      if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') {
        throw new SystemError('write', -error.errno, this.path);
      }
      throw error;
    }
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
