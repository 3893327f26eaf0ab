import { SocketQueries, TUPLE_SIZE } from '../path/sockets.js';
import { IP_PROTOCOL_TCP } from '../wire/ip.js';
import { AF_INET, AF_INET6 } from './libc.js';
import { MESSAGES, MESSAGES_LOST, NetlinkSocket, NLMSG_TYPE, SOCK_DIAG_BY_FAMILY } from './netlink.js';
import type { SocketEnds } from './socket-ends.js';

/** Bits of SKNLGRP_INET_TCP_DESTROY (1) and SKNLGRP_INET6_TCP_DESTROY (3). */
const TCP_DESTROY_GROUPS = 0x1 | 0x4;

/** Room for some thousand events between two batches; when it overflows, the cache is emptied. */
const RECEIVE_BUFFER = 8 << 20;

/** `struct inet_diag_msg` behind the netlink header. */
const FAMILY = 16;
const LOCAL_PORT = 20;
const REMOTE_PORT = 22;
const LOCAL = 24;
const REMOTE = 40;

/**
 * Announces the end of every full TCP socket in this network namespace, shortly after it. TIME_WAIT and handshakes
 * in progress are no full sockets and end without an event.
 */
export class DestroyEvents implements SocketEnds {
  readonly tuples = new SocketQueries(MESSAGES);
  private readonly socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.socket = socket;
  }

  static open(): DestroyEvents {
    return new DestroyEvents(new NetlinkSocket(TCP_DESTROY_GROUPS, RECEIVE_BUFFER));
  }

  get fd(): number {
    return this.socket.fd;
  }

  take(): number {
    const count = this.socket.receive();
    if (count === MESSAGES_LOST) return MESSAGES_LOST;
    const { tuples } = this;
    tuples.count = 0;
    for (let i = 0; i < count; i++) this.append(i * this.socket.slotSize);
    return count;
  }

  close(): void {
    this.socket.close();
  }

  private append(at: number): void {
    const { data } = this.socket;
    const family = data.getUint8(at + FAMILY);
    if (data.getUint16(at + NLMSG_TYPE, true) !== SOCK_DIAG_BY_FAMILY) return;
    if (family !== AF_INET && family !== AF_INET6) return;
    const { tuples } = this;
    const index = tuples.count++;
    const out = tuples.tuplesData;
    const tuple = index * TUPLE_SIZE;
    out.setUint16(tuple + 32, data.getUint16(at + LOCAL_PORT));
    out.setUint16(tuple + 34, data.getUint16(at + REMOTE_PORT));
    tuples.protocol[index] = IP_PROTOCOL_TCP;
    // A dual-stack service's IPv4 flows end as IPv6 sockets with mapped addresses (RFC 4291 section 2.5.5.2).
    const mapped = family === AF_INET6 && isMapped(data, at + LOCAL) && isMapped(data, at + REMOTE);
    if (family === AF_INET || mapped) {
      const skip = mapped ? 12 : 0;
      tuples.version[index] = 4;
      out.setInt32(tuple, data.getInt32(at + LOCAL + skip));
      out.setInt32(tuple + 16, data.getInt32(at + REMOTE + skip));
      for (let word = 4; word < 16; word += 4) {
        out.setInt32(tuple + word, 0);
        out.setInt32(tuple + 16 + word, 0);
      }
    } else {
      tuples.version[index] = 6;
      for (let word = 0; word < 16; word += 4) {
        out.setInt32(tuple + word, data.getInt32(at + LOCAL + word));
        out.setInt32(tuple + 16 + word, data.getInt32(at + REMOTE + word));
      }
    }
  }
}

function isMapped(data: DataView, at: number): boolean {
  return data.getInt32(at) === 0 && data.getInt32(at + 4) === 0 && data.getInt32(at + 8) === 0xffff;
}
