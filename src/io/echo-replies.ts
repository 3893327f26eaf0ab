import { ICMP_ECHO_REPLY, IcmpView } from '../wire/icmp.js';
import { IP_PROTOCOL_ICMP } from '../wire/ip.js';
import { IPV4_AT_FLAGS, IPV4_AT_PROTOCOL, Ipv4View } from '../wire/ipv4.js';
import { Reason } from '../wire/reason.js';
import {
  AF_PACKET,
  check,
  type Libc,
  libc,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NativeMemory,
  SO_ATTACH_FILTER,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './libc.js';
import { MessageVector } from './message-vector.js';
import { NEEDS_NET_RAW } from './system-error.js';

/**
 * Receives ICMP echo replies, of one identifier, whatever address they come from: on the main thread, without blocking
 * it.
 *
 * It is a packet socket (packet(7)) and not a raw ICMP one, because the replies that matter here come from a VIP, which
 * is an address of this server too: the kernel throws packets away that claim to come from its own addresses, before
 * any raw socket sees them. A classic BPF filter lets nothing else through than the replies.
 */

const ETH_P_IP = 0x0800;
const SOCKADDR_LL_SIZE = 20;
const MESSAGES = 16;
/** Enough for a reply to what a health check sends. */
const SLOT_SIZE = 256;
const POLLFD_SIZE = 8;
const POLLIN = 0x1;
/** How long a thread of the pool waits at a time: closing takes that long at most. */
const WAIT = 50;

export interface EchoReply {
  /** Host-order IPv4 addresses. */
  readonly source: number;
  readonly destination: number;
  readonly sequence: number;
  /** A copy. */
  readonly payload: Uint8Array;
}

export class EchoReplies {
  private readonly libc: Libc = libc();
  private readonly descriptor: number;
  private readonly messages = new MessageVector(MESSAGES);
  private readonly slots = new NativeMemory(MESSAGES * SLOT_SIZE);
  private readonly pollfd = new NativeMemory(POLLFD_SIZE);
  private readonly ip = new Ipv4View();
  private readonly icmp = new IcmpView();
  private waiting: Promise<void> | null = null;
  private closed = false;

  /**
   * @param isWaited whether anybody waits for a reply: a thread of the pool is taken only then
   * @throws SystemError with advice
   */
  constructor(
    identifier: number,
    private readonly isWaited: () => boolean,
    private readonly onReply: (reply: EchoReply) => void,
  ) {
    const c = this.libc;
    // Protocol 0: nothing is received before the filter stands.
    this.descriptor = check(
      c.socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      'socket',
      'AF_PACKET SOCK_DGRAM',
      { EPERM: NEEDS_NET_RAW },
    );
    try {
      attachFilter(this.descriptor, identifier);
      const name = new NativeMemory(SOCKADDR_LL_SIZE);
      name.data.setUint16(0, AF_PACKET, true);
      name.data.setUint16(2, ETH_P_IP);
      check(c.bind(this.descriptor, name.address, SOCKADDR_LL_SIZE), 'bind', 'AF_PACKET');
    } catch (error) {
      c.close(this.descriptor);
      throw error;
    }
    for (let i = 0; i < MESSAGES; i++) {
      this.messages.setBuffer(i, this.slots.address + i * SLOT_SIZE, SLOT_SIZE);
    }
    this.pollfd.data.setInt32(0, this.descriptor, true);
    this.pollfd.data.setInt16(4, POLLIN, true);
  }

  /** Whether no thread of the pool is taken. */
  get isIdle(): boolean {
    return this.waiting === null;
  }

  /** Call when somebody begins to wait. */
  wake(): void {
    if (this.closed) return;
    this.waiting ??= this.wait().finally(() => {
      this.waiting = null;
      // Somebody may have come while the last wait ended.
      if (!this.closed && this.isWaited()) this.wake();
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    // Not under a thread that polls it: the number may be another's by then.
    await this.waiting;
    this.libc.close(this.descriptor);
  }

  private async wait(): Promise<void> {
    while (!this.closed && this.isWaited()) {
      const ready = await this.libc.pollAside(this.pollfd.address, 1, WAIT);
      if (ready > 0 && !this.closed) this.receive();
    }
  }

  private receive(): void {
    const count = this.libc.recvmmsg(this.descriptor, this.messages.address, MESSAGES, MSG_DONTWAIT, 0);
    for (let i = 0; i < count; i++) {
      const length = this.messages.received(i);
      if ((this.messages.flags(i) & MSG_TRUNC) === 0) this.read(i * SLOT_SIZE, length);
      this.messages.resetForReceive(i);
    }
  }

  private read(at: number, length: number): void {
    const { ip, icmp } = this;
    const { data, bytes } = this.slots;
    if (ip.attach(data, at, at + length) !== Reason.Ok || ip.protocol !== IP_PROTOCOL_ICMP) return;
    if (icmp.attach(data, ip.payload, ip.end) !== Reason.Ok || icmp.type !== ICMP_ECHO_REPLY) return;
    if (icmp.verifyChecksum() !== Reason.Ok) return;
    this.onReply({
      source: ip.source,
      destination: ip.destination,
      sequence: icmp.sequence,
      payload: Uint8Array.from(bytes.subarray(icmp.quotedOffset, icmp.end)),
    });
  }
}

/** `struct sock_filter`: code, jump if true, jump if false, operand. Offsets count from the IP header. */
function attachFilter(fd: number, identifier: number): void {
  const program: readonly (readonly [code: number, jt: number, jf: number, k: number])[] = [
    [0x30, 0, 0, IPV4_AT_PROTOCOL], // ldb [9]
    [0x15, 0, 8, IP_PROTOCOL_ICMP], // jeq: else drop
    [0x28, 0, 0, IPV4_AT_FLAGS], // ldh [6]
    [0x45, 6, 0, 0x3fff], // jset: a fragment: drop
    [0xb1, 0, 0, 0], // ldxb 4 * ([0] & 0xf)
    [0x50, 0, 0, 0], // ldb [x + 0]
    [0x15, 0, 3, ICMP_ECHO_REPLY], // jeq: else drop
    [0x48, 0, 0, 4], // ldh [x + 4]
    [0x15, 0, 1, identifier], // jeq: else drop
    [0x06, 0, 0, 0xffff], // ret: take it
    [0x06, 0, 0, 0], // ret: drop it
  ];
  const code = new NativeMemory(program.length * 8);
  for (const [index, [opcode, jt, jf, k]] of program.entries()) {
    code.data.setUint16(8 * index, opcode, true);
    code.data.setUint8(8 * index + 2, jt);
    code.data.setUint8(8 * index + 3, jf);
    code.data.setUint32(8 * index + 4, k, true);
  }
  // `struct sock_fprog`: length@0, pointer@8.
  const header = new NativeMemory(16);
  header.data.setUint16(0, program.length, true);
  header.setPointer(8, code.address);
  check(
    libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header.address, 16),
    'setsockopt',
    'SO_ATTACH_FILTER',
  );
}
