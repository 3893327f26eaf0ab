import { PacketBatch } from '../path/batch.js';

/**
 * A batch of one that notices when somebody reads behind a given byte: so a packet that a capture cut short can be
 * judged without the judge knowing what is missing. Whatever protocol or dissector it is, either the missing bytes are
 * never looked at, and the verdict stands, or they are, and there is none.
 */
export class WatchedBatch extends PacketBatch {
  override readonly data: WatchedView;

  constructor(maxPacket: number) {
    super({ capacity: 1, maxPacket });
    this.data = new WatchedView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }
}

/** The reads that the path makes. Writes are the path's own headers, in front of what was captured. */
export class WatchedView extends DataView<ArrayBufferLike> {
  /** Offset from which on nothing is there. */
  end = Number.POSITIVE_INFINITY;
  /** Whether something behind `end` was read since it was last set to false. */
  readBehind = false;

  override getUint8(at: number): number {
    this.note(at + 1);
    return super.getUint8(at);
  }

  override getUint16(at: number, littleEndian?: boolean): number {
    this.note(at + 2);
    return super.getUint16(at, littleEndian);
  }

  override getUint32(at: number, littleEndian?: boolean): number {
    this.note(at + 4);
    return super.getUint32(at, littleEndian);
  }

  override getInt32(at: number, littleEndian?: boolean): number {
    this.note(at + 4);
    return super.getInt32(at, littleEndian);
  }

  override getBigUint64(at: number, littleEndian?: boolean): bigint {
    this.note(at + 8);
    return super.getBigUint64(at, littleEndian);
  }

  private note(end: number): void {
    if (end > this.end) this.readBehind = true;
  }
}
