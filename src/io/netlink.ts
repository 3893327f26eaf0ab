import {
  AF_NETLINK,
  check,
  type Libc,
  libc,
  MSG_DONTWAIT,
  NativeMemory,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from './libc.js';
import { MessageVector } from './message-vector.js';
import { setReceiveBuffer } from './socket.js';
import { Errno } from './system-error.js';

/**
 * A NETLINK_SOCK_DIAG socket and the messages it receives. Sources: netlink(7), sock_diag(7), and
 * include/uapi/linux/{netlink,inet_diag,sock_diag}.h. Netlink numbers are native-endian, which here is little.
 */

const NETLINK_SOCK_DIAG = 4;
const SOCKADDR_NL_SIZE = 12;

/** `struct nlmsghdr`: length@0, type@4, flags@6, sequence@8, port@12. */
export const NLMSG_TYPE = 4;
export const NLMSG_FLAGS = 6;
export const NLMSG_SEQUENCE = 8;
export const NLMSG_PAYLOAD = 16;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_DUMP = 0x300;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const SOCK_DIAG_BY_FAMILY = 20;

/** Messages per receive call. */
export const MESSAGES = 64;
/** Bytes kept of each: all that precedes the attributes. */
const SLOT_SIZE = 128;

/** {@link NetlinkSocket.receive} found that the kernel had to throw messages away. */
export const MESSAGES_LOST = -1;

export class NetlinkSocket {
  /** Received messages; message i begins at i * {@link slotSize}. */
  readonly data: DataView;
  readonly slotSize = SLOT_SIZE;
  private descriptor: number;
  private readonly libc: Libc = libc();
  private readonly messages = new MessageVector(MESSAGES);
  private readonly slots = new NativeMemory(MESSAGES * SLOT_SIZE);

  /** @param groups multicast groups to join, as the bits of `nl_groups` */
  constructor(groups: number, receiveBuffer: number) {
    const c = this.libc;
    this.descriptor = check(
      c.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_SOCK_DIAG),
      'socket',
      'NETLINK_SOCK_DIAG',
      { EPROTONOSUPPORT: 'This kernel has no sock_diag: modprobe inet_diag tcp_diag udp_diag' },
    );
    try {
      setReceiveBuffer(this.descriptor, receiveBuffer);
      const name = new NativeMemory(SOCKADDR_NL_SIZE);
      name.data.setUint16(0, AF_NETLINK, true);
      name.data.setUint32(8, groups, true);
      check(c.bind(this.descriptor, name.address, SOCKADDR_NL_SIZE), 'bind', 'NETLINK_SOCK_DIAG');
    } catch (error) {
      this.close();
      throw error;
    }
    for (let i = 0; i < MESSAGES; i++) {
      this.messages.setBuffer(i, this.slots.address + i * SLOT_SIZE, SLOT_SIZE);
    }
    this.data = this.slots.data;
  }

  get fd(): number {
    return this.descriptor;
  }

  /** Sends requests to the kernel, which has answered them when this returns. False when it did not take them. */
  request(requests: NativeMemory, length: number): boolean {
    return this.libc.sendto(this.descriptor, requests.address, length, MSG_DONTWAIT, 0, 0) === length;
  }

  /** Takes what has arrived. @returns how many messages, or {@link MESSAGES_LOST} */
  receive(): number {
    // Nothing is reset: no names and no control data are looked at.
    const count = this.libc.recvmmsg(this.descriptor, this.messages.address, MESSAGES, MSG_DONTWAIT, 0);
    if (count >= 0) return count;
    return this.libc.errno() === Errno.ENOBUFS ? MESSAGES_LOST : 0;
  }

  close(): void {
    if (this.descriptor >= 0) this.libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
