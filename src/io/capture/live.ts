import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MissingMeansError, NEEDS_NET_RAW } from '../system-error.js';
import { CaptureError } from './errors.js';
import { CaptureReader } from './reader.js';
import { StreamSource } from './source.js';

/** Why an interface could not be opened. */
export interface OpenFailure {
  readonly kind: 'missing' | 'no-interface' | 'filter' | 'open';
  /** Of the package, or of libpcap. */
  readonly message: string;
  /** What there is, where the one asked for is not. */
  readonly interfaces?: readonly string[];
}

export type FromChild = { readonly opened: number } | { readonly failed: OpenFailure };

const CHILD = fileURLToPath(new URL('./live-child.js', import.meta.url));

/** libpcap lists these, and they carry no packets of a network. */
const NO_NETWORK = /^(bluetooth|dbus|nf|usbmon|rdma)/;

/** How long the child may take to end; it cannot hear us while packets come without end. */
const END_MS = 500;

/**
 * Packets as they pass an interface, through the npm package `cap` (libpcap).
 *
 * A process of its own captures, and gives us what it sees as a pcap stream. For when the interface goes down, `cap`
 * ends its process at once, and what was captured must be written down all the same.
 */
export class LiveCapture {
  /** Ends when {@link stop} was called, or the capture ended by itself. */
  readonly reader: CaptureReader;
  /** LINKTYPE_ number. */
  readonly linkType: number;
  private readonly child: ChildProcess;
  private stopped = false;

  private constructor(child: ChildProcess, reader: CaptureReader, linkType: number) {
    this.child = child;
    this.reader = reader;
    this.linkType = linkType;
  }

  /**
   * @param filter in the language of pcap-filter(7); empty for all packets
   * @throws CaptureError when there is no such interface, or the filter does not compile
   * @throws MissingMeansError without the package, or the right to capture
   */
  static async start(device: string, filter: string): Promise<LiveCapture> {
    const child = fork(CHILD, [device, filter], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] });
    // What libpcap warns of (an interface without an address) concerns nobody here.
    child.stderr?.resume();
    if (child.stdout === null) throw new Error('the capturing process has no standard output');
    const source = new StreamSource(child.stdout);
    try {
      const linkType = await opened(child, device, filter);
      const reader = await CaptureReader.from(source, `the capture on ${device}`);
      return new LiveCapture(child, reader, linkType);
    } catch (error) {
      child.kill('SIGKILL');
      await source.close();
      throw error;
    }
  }

  /** Lets the reader come to its end: what was captured until now is still read. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    if (this.child.connected) this.child.send('stop');
    setTimeout(() => this.child.kill('SIGKILL'), END_MS).unref();
  }

  /** Ended without being asked to: the interface went down, or away. */
  get endedByItself(): boolean {
    return !this.stopped;
  }

  async close(): Promise<void> {
    this.stop();
    await this.reader.close();
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
  }
}

/** Waits for the child's word. @returns the link type */
async function opened(child: ChildProcess, device: string, filter: string): Promise<number> {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new CaptureError(
      `${device} cannot be captured on: libpcap ended with ${signal ?? `exit code ${code}`}`,
    );
  });
  const [message]: FromChild[] = await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => {});
  if ('opened' in message) return message.opened;
  throw explain(message.failed, device, filter);
}

function explain({ kind, message, interfaces = [] }: OpenFailure, device: string, filter: string): Error {
  if (kind === 'missing') {
    return new MissingMeansError(
      `The optional package cap is not installed, or was not compiled (${firstLine(message)}). Install it where a C++ ` +
        "compiler, Python and libpcap's headers are (apt-get install libpcap-dev, then npm install cap), or capture " +
        'with tcpdump -w - and pipe that into twohop dissect -',
    );
  }
  if (kind === 'no-interface') {
    const there = interfaces.filter((name) => !NO_NETWORK.test(name));
    return new CaptureError(`There is no interface ${device}: there are ${there.join(', ')}`);
  }
  if (kind === 'filter') {
    return new CaptureError(`The filter "${filter}" does not compile: ${message} (see pcap-filter(7))`);
  }
  if (/permi/i.test(message))
    return new MissingMeansError(`${device} cannot be captured on: ${message}. ${NEEDS_NET_RAW}`);
  return new CaptureError(`${device} cannot be captured on: ${message}`);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
