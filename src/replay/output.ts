import type { AsciiText } from '../io/capture/ascii-text.js';
import type { CaptureReader } from '../io/capture/reader.js';
import type { CaptureRecord } from '../io/capture/record.js';
import { type CaptureWriter, Direction } from '../io/capture/writer.js';
import { Action } from '../path/verdict.js';
import { ipOffset, LINKTYPE } from '../wire/link.js';
import type { ReplayServer } from './fleet.js';
import type { ReplaySink } from './replay.js';
import type { Traveller } from './traveller.js';

export interface ReplayOutputOptions {
  readonly comments: boolean;
  /** Keep what was dropped or passed too, as it came. */
  readonly keepAll: boolean;
  /** The writer knows one link type only: frames are kept without their link layer, and those without IP not at all. */
  readonly rawOnly: boolean;
}

/**
 * What comes out of a replay, as a capture: what each server sends, on an interface of that server (`s1 underlay`);
 * what it takes in, without the wrapper, on another (`s1 kernel`); and what is kept as it came, on a copy of the
 * interface it came from.
 */
export class ReplayOutput implements ReplaySink {
  readonly wantsComments: boolean;
  private readonly sent = new Map<ReplayServer, number>();
  private readonly accepted = new Map<ReplayServer, number>();
  /** By the reader's interface; -1 where it was not needed yet. */
  private readonly copies: number[] = [];
  private raw = -1;

  constructor(
    private readonly input: CaptureReader,
    private readonly writer: CaptureWriter,
    private readonly options: ReplayOutputOptions,
  ) {
    this.wantsComments = options.comments;
  }

  /** Writes what the traveller's last step made of the packet. */
  step(record: CaptureRecord, traveller: Traveller, comment: AsciiText): void {
    const { batch, server, action, end } = traveller;
    if (end === 'dropped' || end === 'passed') {
      this.kept(record, comment);
      return;
    }
    const to = action === Action.Send ? this.sent : this.accepted;
    let target = to.get(server);
    if (target === undefined) {
      target = this.rawInterface(`${server.name} ${action === Action.Send ? 'underlay' : 'kernel'}`);
      to.set(server, target);
    }
    this.writer.write(
      target,
      record.seconds,
      record.nanoseconds,
      batch.bytes,
      batch.offset[0],
      traveller.captured,
      batch.length[0],
      comment,
      action === Action.Send ? Direction.Out : Direction.In,
      record.optionsLength === 0 ? null : record,
    );
  }

  /** Writes the packet as it came, when everything is to be kept. */
  kept(record: CaptureRecord, comment: AsciiText | string): void {
    if (!this.options.keepAll) return;
    const { bytes, offset, capturedLength, originalLength, seconds, nanoseconds } = record;
    if (this.options.rawOnly) {
      const ip = ipOffset(record.linkType, record.data, offset, offset + capturedLength);
      if (ip < 0) return;
      const skipped = ip - offset;
      this.writer.write(
        this.rawInterface('raw'),
        seconds,
        nanoseconds,
        bytes,
        ip,
        capturedLength - skipped,
        originalLength - skipped,
        comment,
      );
      return;
    }
    this.writer.write(
      this.copyOf(record.interface),
      seconds,
      nanoseconds,
      bytes,
      offset,
      capturedLength,
      originalLength,
      comment,
      Direction.Unknown,
      record,
    );
  }

  private rawInterface(name: string): number {
    // Raw IP by its other number: of several interfaces with LINKTYPE_RAW, tcpdump (libpcap 1.10) reads only the first.
    if (!this.options.rawOnly) return this.writer.addInterface({ linkType: LINKTYPE.RAW_DLT, name });
    if (this.raw < 0) this.raw = this.writer.addInterface({ linkType: LINKTYPE.RAW, name: 'raw' });
    return this.raw;
  }

  private copyOf(index: number): number {
    this.copies[index] ??= this.writer.addInterface(this.input.interfaces[index]);
    return this.copies[index];
  }
}
