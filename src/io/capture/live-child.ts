import { createRequire } from 'node:module';
import type { Cap } from 'cap';
import { ipOffset, LINKTYPE } from '../../wire/link.js';
import type { FromChild, OpenFailure } from './live.js';
import { CaptureOutput } from './output.js';
import { PcapWriter } from './pcap-writer.js';

/**
 * Captures in a process of its own, and writes pcap to standard output (see live.ts). Arguments: interface, filter.
 *
 * What is known of `cap`:
 * - A packet lies in the buffer until the listener returns, and so do all that are there: they come in one go.
 * - It tells neither times nor the lengths of packets that it cut, and cuts at 65,535 bytes.
 * - An object whose `open` failed must not be closed, nor collected: both touch what was never made.
 */

/** Bytes for packets that wait in the kernel. */
const KERNEL_BUFFER = 16 << 20;
/** `cap` asks for no more of a packet. */
const SNAP_LENGTH = 65_535;
/** With packets without end there is no other turn for anything. */
const FLUSH_MS = 100;

/** How far the clock that counts may be from the time of day. */
const CLOCK_TOLERANCE_MS = 500;

const LINK_TYPES: ReadonlyMap<string, number> = new Map([
  ['NULL', LINKTYPE.NULL],
  ['ETHERNET', LINKTYPE.ETHERNET],
  ['RAW', LINKTYPE.RAW],
  ['LINKTYPE_LINUX_SLL', LINKTYPE.LINUX_SLL],
  ['IEEE802_11_RADIO', 127],
]);

/** Referenced for as long as this process lives. */
const opened: Cap[] = [];

function main(device: string, filter: string): void {
  let packageOf: typeof import('cap');
  try {
    packageOf = createRequire(import.meta.url)('cap');
  } catch (cause) {
    fail({ kind: 'missing', message: messageOf(cause) });
    return;
  }
  const devices = packageOf.Cap.deviceList().map(({ name }) => name);
  if (!devices.includes(device)) {
    fail({ kind: 'no-interface', message: '', interfaces: devices });
    return;
  }
  const buffer = Buffer.allocUnsafeSlow(SNAP_LENGTH);
  const open = (expression: string) => {
    const cap = new packageOf.Cap();
    opened.push(cap);
    return { cap, name: cap.open(device, expression, KERNEL_BUFFER, buffer) };
  };
  try {
    const { cap, name } = open(filter);
    capture(cap, linkTypeOf(name), buffer);
  } catch (error) {
    fail({ kind: filter !== '' && opens(() => open('')) ? 'filter' : 'open', message: messageOf(error) });
  }
}

function capture(cap: Cap, linkType: number, buffer: Buffer): void {
  const writer = new PcapWriter(CaptureOutput.open('-'));
  const iface = writer.addInterface({ linkType, snapLength: SNAP_LENGTH });
  const data = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const clock = new Clock();
  let flushed = 0;
  let waiting = false;
  const flush = () => {
    waiting = false;
    flushed = performance.now();
    clock.adjust();
    writer.flush();
    if (writer.broken) process.exit();
  };
  cap.on('packet', (length) => {
    clock.read();
    const original = length < SNAP_LENGTH ? length : originalLength(linkType, data, length);
    writer.write(iface, clock.seconds, clock.nanoseconds, buffer, 0, length, original, '');
    if (performance.now() - flushed > FLUSH_MS) flush();
    if (waiting) return;
    waiting = true;
    setImmediate(flush);
  });
  const end = () => {
    cap.close();
    flush();
    process.exit();
  };
  process.on('message', end);
  // Whoever started us is gone.
  process.on('disconnect', end);
  // A terminal sends these to everybody; it is for the one who started us to end it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  flush();
  tell({ opened: linkType });
}

/** The length that the IP header tells, for a packet that was cut. */
function originalLength(linkType: number, data: DataView, captured: number): number {
  const at = ipOffset(linkType, data, 0, captured);
  if (at < 0 || captured - at < 8) return captured;
  const isIpv4 = data.getUint8(at) >>> 4 === 4;
  return Math.max(captured, at + (isIpv4 ? data.getUint16(at + 2) : 40 + data.getUint16(at + 4)));
}

/** The time of day with nanoseconds, which Node has none of: the time of the start and a clock that counts from there. */
class Clock {
  seconds = 0;
  nanoseconds = 0;
  private originSeconds = 0;
  private originNanoseconds = 0;

  constructor() {
    this.startAt(performance.timeOrigin);
  }

  read(): void {
    const nanoseconds = this.originNanoseconds + performance.now() * 1e6;
    const seconds = Math.floor(nanoseconds / 1e9);
    this.seconds = this.originSeconds + seconds;
    this.nanoseconds = Math.floor(nanoseconds - seconds * 1e9);
  }

  /** Follows a clock that was set, or that went on while the machine slept. */
  adjust(): void {
    this.read();
    const late = Date.now() - (this.seconds * 1e3 + this.nanoseconds / 1e6);
    if (Math.abs(late) > CLOCK_TOLERANCE_MS) this.startAt(Date.now() - performance.now());
  }

  private startAt(milliseconds: number): void {
    this.originSeconds = Math.floor(milliseconds / 1e3);
    this.originNanoseconds = (milliseconds - this.originSeconds * 1e3) * 1e6;
  }
}

function linkTypeOf(name: string): number {
  const known = LINK_TYPES.get(name) ?? Number(/^Unknown linktype (\d+)$/.exec(name)?.[1]);
  if (Number.isInteger(known)) return known;
  throw new Error(`packets of a kind that nothing here knows: ${name}`);
}

function opens(open: () => unknown): boolean {
  try {
    open();
    return true;
  } catch {
    return false;
  }
}

function fail(failed: OpenFailure): void {
  tell({ failed }, () => process.exit());
}

function tell(message: FromChild, done: () => void = () => {}): void {
  process.send?.(message, done);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main(process.argv[2], process.argv[3]);
