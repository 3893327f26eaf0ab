import { MESSAGES, MESSAGES_LOST, NetlinkSocket } from './netlink.js';
import type { SocketEnds } from './socket-ends.js';

/** Bits of SKNLGRP_INET_TCP_DESTROY (1) and SKNLGRP_INET6_TCP_DESTROY (3). */
const TCP_DESTROY_GROUPS = 0x1 | 0x4;

/** Room for some thousand events between two batches; when it overflows, the cache is emptied. */
const RECEIVE_BUFFER = 8 << 20;

/** `idiag_cookie` in `struct inet_diag_msg`, behind the netlink header. */
const COOKIE = 60;

/**
 * Announces the end of every full TCP socket in this network namespace, shortly after it. TIME_WAIT and handshakes
 * in progress are no full sockets and end without an event.
 */
export class DestroyEvents implements SocketEnds {
  readonly cookies = new Uint32Array(2 * MESSAGES);
  private readonly socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.socket = socket;
  }

  /** @param options.receiveBuffer bytes for events that wait to be taken */
  static open(options: { readonly receiveBuffer?: number } = {}): DestroyEvents {
    return new DestroyEvents(new NetlinkSocket(TCP_DESTROY_GROUPS, options.receiveBuffer ?? RECEIVE_BUFFER));
  }

  get fd(): number {
    return this.socket.fd;
  }

  take(): number {
    const count = this.socket.receive();
    if (count === MESSAGES_LOST) return MESSAGES_LOST;
    const { data, slotSize } = this.socket;
    for (let i = 0; i < count; i++) {
      this.cookies[2 * i] = data.getUint32(i * slotSize + COOKIE, true);
      this.cookies[2 * i + 1] = data.getUint32(i * slotSize + COOKIE + 4, true);
    }
    return count;
  }

  close(): void {
    this.socket.close();
  }
}
