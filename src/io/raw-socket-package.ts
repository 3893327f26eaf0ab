import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import type { PacketBatch } from '../path/batch.js';
import type { Action } from '../path/verdict.js';
import { formatIpv4 } from '../wire/address.js';
import { newCounters } from './counters.js';
import type { PacketSink, PortCounters } from './port.js';
import { MissingMeansError, NEEDS_NET_RAW } from './system-error.js';

/** What we use of the npm package `raw-socket`, which has no types of its own. */
interface RawSocketModule {
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number };
  createSocket(options: { protocol: number }): RawSocket;
}

interface RawSocket {
  setOption(level: number, option: number, value: number): void;
  send(
    buffer: Buffer,
    offset: number,
    length: number,
    address: string,
    done: (error: Error | null, bytes: number) => void,
  ): void;
  on(event: 'error', listener: (error: Error) => void): void;
  close(): void;
}

const IPPROTO_RAW = 255;
/** Packets handed to the package and not yet sent. Its own queue has no bound. */
const MAX_IN_FLIGHT = 4096;

/**
 * The npm package `raw-socket` behind the sender's interface: a second sender that shares no code with
 * {@link RawSender}, to compare with and to fall back on.
 *
 * It makes one system call and several callbacks per packet and reaches a third of its rate. It sends
 * later, from the event loop: packets are copied, and errors and counts arrive after `send` has returned. Main
 * thread only: the package is bound to the default event loop.
 */
export class RawSocketPackageSender implements PacketSink {
  readonly sent: PortCounters = newCounters();
  private inFlight = 0;
  private closed = false;
  /** Referenced for as long as we live: the package goes silent when its object is garbage-collected. */
  private readonly socket: RawSocket;

  private constructor(socket: RawSocket) {
    this.socket = socket;
    socket.on('error', () => {
      this.sent.errors++;
    });
  }

  /** Throws an Error that says what to do when the package is missing, or rights are. */
  static open(): RawSocketPackageSender {
    if (!isMainThread)
      throw new MissingMeansError('The package raw-socket works on the main thread only: use sender: mmsg');
    const raw = loadPackage();
    let socket: RawSocket;
    try {
      socket = raw.createSocket({ protocol: IPPROTO_RAW });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MissingMeansError(`raw-socket cannot open a socket: ${reason}. ${NEEDS_NET_RAW}`, { cause });
    }
    socket.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
    return new RawSocketPackageSender(socket);
  }

  /** Packets accepted here and not yet given to the kernel. */
  get pending(): number {
    return this.inFlight;
  }

  /** @returns how many were queued; the kernel's errors are counted when they come. */
  send(batch: PacketBatch, action: Action): number {
    let queued = 0;
    for (let i = 0; i < batch.count; i++) {
      if (batch.action[i] !== action) continue;
      if (this.closed || this.inFlight === MAX_IN_FLIGHT) {
        this.sent.errors++;
        continue;
      }
      // The batch is used again before the package sends.
      const copy = Buffer.from(batch.packet(i));
      this.inFlight++;
      this.socket.send(copy, 0, copy.length, formatIpv4(batch.nextHop[i]), this.done);
      queued++;
    }
    return queued;
  }

  private readonly done = (error: Error | null, bytes: number): void => {
    if (this.closed) return;
    this.inFlight--;
    this.sent.calls++;
    if (error === null) {
      this.sent.packets++;
      this.sent.bytes += bytes;
    } else {
      this.sent.errors++;
    }
  };

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.close();
    // What the package still had in its queue goes with the socket, without a callback.
    this.sent.errors += this.inFlight;
    this.inFlight = 0;
  }
}

function loadPackage(): RawSocketModule {
  try {
    return createRequire(import.meta.url)('raw-socket') as RawSocketModule;
  } catch (cause) {
    throw new MissingMeansError(
      'The optional package raw-socket is not installed, or was not compiled. Install it where a C++ compiler and ' +
        'Python are (npm install raw-socket), or use sender: mmsg',
      { cause },
    );
  }
}
