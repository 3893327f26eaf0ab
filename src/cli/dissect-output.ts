import { commentsOf } from '../io/capture/options.js';
import type { CaptureRecord } from '../io/capture/record.js';
import { dissect, type Layer, oneLine, type Paint, tree } from '../replay/dissect/dissect.js';
import type { Frame } from '../replay/explain/packet-argument.js';
import { colors } from './colors.js';
import type { LineOutput } from './line-output.js';

export type DissectForm = 'line' | 'tree' | 'json';

/** Prints packets in one of the forms, in colours only where a person looks at a terminal. */
export class DissectPrinter {
  private firstSeconds = 0;
  private firstNanoseconds = 0;
  private readonly paint: Paint;
  private isFirst = true;

  constructor(
    private readonly output: LineOutput,
    private readonly form: DissectForm,
    private readonly guePort: number | undefined,
  ) {
    this.paint = { title: colors.bold, problem: colors.red, faint: colors.dim };
  }

  /** Times are counted from this packet on. */
  startAt({ seconds, nanoseconds }: CaptureRecord): void {
    this.firstSeconds = seconds;
    this.firstNanoseconds = nanoseconds;
  }

  printRecord(number: number, record: CaptureRecord): void {
    const { bytes, offset, capturedLength, originalLength, linkType } = record;
    const layers = this.dissect(bytes.subarray(offset, offset + capturedLength), linkType, originalLength);
    const relative = this.relative(record);
    if (this.form === 'line') {
      const start = this.paint.faint(`${String(number).padStart(6)} ${relative.padStart(11)} `);
      this.output.line(`${start} ${oneLine(layers, this.paint)}`);
      return;
    }
    const comments = record.optionsLength === 0 ? [] : commentsOf(record);
    if (this.form === 'json') {
      this.printJson({
        packet: number,
        time: timeOf(record),
        relative,
        length: originalLength,
        captured: capturedLength,
        linkType,
        comments,
        line: oneLine(layers),
        layers,
      });
      return;
    }
    const captured = capturedLength < originalLength ? `, ${capturedLength} captured` : '';
    this.printTree(`Packet ${number}, ${relative} s, ${originalLength} bytes${captured}`, comments, layers);
  }

  /** One that came with the command line. */
  printFrame({ bytes, originalLength, linkType }: Frame): void {
    const layers = this.dissect(bytes, linkType, originalLength);
    if (this.form === 'line') this.output.line(oneLine(layers, this.paint));
    else if (this.form === 'tree') for (const line of tree(layers, this.paint)) this.output.line(line);
    else this.printJson({ length: bytes.length, linkType, line: oneLine(layers), layers });
  }

  private dissect(bytes: Uint8Array, linkType: number, originalLength: number): Layer[] {
    const { guePort } = this;
    return dissect(bytes, linkType, guePort === undefined ? { originalLength } : { originalLength, guePort });
  }

  private printJson(packet: object): void {
    this.output.line(JSON.stringify(packet));
  }

  private printTree(title: string, comments: readonly string[], layers: readonly Layer[]): void {
    if (!this.isFirst) this.output.line('');
    this.isFirst = false;
    this.output.line(this.paint.title(title));
    for (const line of comments.flatMap((comment) => comment.split('\n'))) this.output.line(`  # ${line}`);
    for (const line of tree(layers, this.paint)) this.output.line(`  ${line}`);
  }

  /** Seconds since the first packet, six decimals; below zero for a packet from before it. */
  private relative({ seconds, nanoseconds }: CaptureRecord): string {
    const micros = (seconds - this.firstSeconds) * 1e6 + (nanoseconds - this.firstNanoseconds) / 1e3;
    return (micros / 1e6).toFixed(6);
  }
}

/** Seconds since the epoch, nine decimals. */
function timeOf({ seconds, nanoseconds }: CaptureRecord): string {
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
}
