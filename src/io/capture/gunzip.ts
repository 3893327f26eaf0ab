import { constants, createGunzip, type Gunzip } from 'node:zlib';
import type { ByteSource } from './source.js';

/** Compressed bytes taken at once: a hostile file makes a thousand times as many of them, and those are in memory. */
const PIECE = 16 << 10;
const CHUNK_SIZE = 64 << 10;

export function isGzip(bytes: Buffer, length: number): boolean {
  return length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Another source, decompressed. Several compressed files one behind the other are one. */
export class GunzipSource implements ByteSource {
  cut: string | null = null;
  private readonly source: ByteSource;
  private readonly gunzip: Gunzip;
  private readonly piece = Buffer.allocUnsafeSlow(PIECE);
  /** Decompressed, and not yet read; `chunk` is the first of them. */
  private readonly chunks: Buffer[] = [];
  private chunk: Buffer = Buffer.alloc(0);
  /** Compressed bytes that the caller had read already. */
  private head: Buffer;
  private ended = false;

  constructor(head: Buffer, source: ByteSource) {
    this.head = head;
    this.source = source;
    this.gunzip = createGunzip({ chunkSize: CHUNK_SIZE, flush: constants.Z_SYNC_FLUSH });
    this.gunzip.on('data', (chunk: Buffer) => this.chunks.push(chunk));
    this.gunzip.on('error', (error) => {
      this.ended = true;
      this.cut ??= describe(error);
    });
  }

  get bytesRead(): number {
    return this.source.bytesRead;
  }

  get size(): number | null {
    return this.source.size;
  }

  async read(into: Buffer, offset: number): Promise<number> {
    while (this.chunk.length === 0) {
      const next = this.chunks.shift();
      if (next !== undefined) this.chunk = next;
      else if (this.ended) return 0;
      else await this.decompress();
    }
    const bytes = this.chunk.copy(into, offset);
    this.chunk = this.chunk.subarray(bytes);
    return bytes;
  }

  async close(): Promise<void> {
    this.gunzip.destroy();
    await this.source.close();
  }

  /** Feeds one piece, and waits until all that comes of it is in `chunks`. */
  private async decompress(): Promise<void> {
    const piece = await this.nextPiece();
    await new Promise<void>((resolve) => {
      // 'close' comes after an error, behind which no callback may.
      this.gunzip.once('close', resolve);
      const done = () => {
        this.gunzip.off('close', resolve);
        resolve();
      };
      if (piece !== null) this.gunzip.write(piece, done);
      else this.gunzip.once('end', done).end();
    });
    if (piece === null) this.ended = true;
  }

  private async nextPiece(): Promise<Buffer | null> {
    if (this.head.length > 0) {
      const piece = this.head.subarray(0, PIECE);
      this.head = this.head.subarray(piece.length);
      return piece;
    }
    const bytes = await this.source.read(this.piece, 0);
    return bytes === 0 ? null : this.piece.subarray(0, bytes);
  }
}

function describe(error: Error): string {
  return 'code' in error && error.code === 'Z_BUF_ERROR'
    ? 'the gzip data ends early'
    : `the gzip data is damaged (${error.message})`;
}
