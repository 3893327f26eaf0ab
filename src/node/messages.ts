import type { SharedSocketState } from '../io/socket-cache.js';
import type { SharedSessions } from '../path/session-set.js';
import type { PathConfig } from '../path/state.js';
import type { SharedTable } from '../table/forwarding-table.js';
import type { SharedVips } from '../table/vip-matcher.js';
import type { OffloadFound } from './ports.js';

/** What the main thread and a data-plane worker say to each other. Everything heavy lies in shared memory. */

export interface WorkerInit {
  readonly tun: string;
  /** Whether the TUN is to be read and written many packets at a time, where the kernel can. */
  readonly tunBatch: 'auto' | 'off';
  /** Largest packet the TUN carries, in bytes. */
  readonly maxPacket: number;
  readonly path: PathConfig;
  readonly counters: SharedArrayBuffer;
  readonly status: SharedArrayBuffer;
  /** eventfd that interrupts the worker's poll(2). */
  readonly wakeFd: number;
  /** Memory of the socket cache that all workers share. */
  readonly sockets: SharedSocketState;
  readonly sender: 'mmsg' | 'raw-socket';
  /** Whether super-packets and trains are to be used where the kernel has them. */
  readonly offload: 'auto' | 'off';
}

/** `sequence` grows with every message; the worker reports the last one it has taken. */
export type ToWorker =
  | { readonly type: 'table'; readonly sequence: number; readonly index: number; readonly table: SharedTable }
  | {
      readonly type: 'sessions';
      readonly sequence: number;
      readonly index: number;
      readonly sessions: SharedSessions;
    }
  | { readonly type: 'vips'; readonly sequence: number; readonly vips: SharedVips }
  | {
      readonly type: 'config';
      readonly sequence: number;
      readonly path: PathConfig;
      readonly counters: SharedArrayBuffer;
    }
  | { readonly type: 'stop'; readonly sequence: number };

export type FromWorker =
  /** The ports are open, with this offload. */
  | { readonly type: 'ready'; readonly offload: OffloadFound }
  /** Messages up to this number are taken. */
  | { readonly type: 'taken'; readonly sequence: number }
  /** A packet for the main thread to send, where only it can (see `remote-sender.ts`). */
  | { readonly type: 'packet'; readonly bytes: Uint8Array; readonly nextHop: number };
