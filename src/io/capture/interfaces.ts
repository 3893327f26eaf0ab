import { type CaptureOption, IF_NAME, IF_TSOFFSET, IF_TSRESOL, textOf } from './options.js';
import type { CaptureInterface } from './parser.js';
import { DEFAULT_TSRESOL, TimestampScale } from './timestamp.js';

/** All that a file may make us remember about its interfaces. */
const MAX_MEMORY = 16 << 20;
/** What an interface takes besides its options, roughly. */
const INTERFACE_COST = 256;

/** The interfaces of a pcapng file. Packets name them by their number within the section. */
export class InterfaceList {
  readonly all: CaptureInterface[] = [];
  /** What turns the timestamps of each into time. */
  readonly scales: TimestampScale[] = [];
  /** Index of the section's first. */
  sectionStart = 0;
  private memory = 0;

  enterSection(): void {
    this.sectionStart = this.all.length;
  }

  /** @param size of its block. @returns false when there are more than can be remembered */
  add(linkType: number, snapLength: number, options: readonly CaptureOption[], size: number): boolean {
    this.memory += INTERFACE_COST + size;
    if (this.memory > MAX_MEMORY) return false;
    const find = (wanted: number, least: number) =>
      options.find(({ code, value }) => code === wanted && value.length >= least)?.value;
    const name = find(IF_NAME, 0);
    const resolution = find(IF_TSRESOL, 1);
    const offset = find(IF_TSOFFSET, 8);
    this.all.push({ linkType, snapLength, name: name === undefined ? '' : textOf(name), options });
    this.scales.push(
      new TimestampScale(
        resolution === undefined ? DEFAULT_TSRESOL : resolution[0],
        offset === undefined ? 0 : Number(new DataView(offset.buffer).getBigInt64(0, true)),
      ),
    );
    return true;
  }

  /** Index of the section's interface `id`; -1 when it has no such. */
  indexOf(id: number): number {
    const index = this.sectionStart + id;
    return index < this.all.length ? index : -1;
  }

  /** `its section has named 2 interfaces so far` */
  describe(): string {
    const count = this.all.length - this.sectionStart;
    return `its section has named ${count} interface${count === 1 ? '' : 's'} so far`;
  }
}
