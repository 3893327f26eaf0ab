import { NativeMemory } from './libc.js';
import { SOCKADDR_IN_SIZE, writeSockaddrIn } from './socket.js';

/** `struct mmsghdr` on 64-bit Linux: offsets of its fields. */
const MMSGHDR_SIZE = 64;
const NAME = 0;
const NAME_LENGTH = 8;
const IOV = 16;
const IOV_LENGTH = 24;
const CONTROL = 32;
const CONTROL_LENGTH = 40;
const FLAGS = 48;
const MESSAGE_LENGTH = 56;

/** `struct cmsghdr`: length@0, level@8, type@12, and behind it an `int`. */
const CMSG_LEVEL = 8;
const CMSG_TYPE = 12;
const CMSG_DATA = 16;
/** Room for one control message with an `int`, aligned as the kernel wants it. */
const CONTROL_SIZE = 24;
const SOL_UDP = 17;
const UDP_GRO = 104;

/** `struct iovec`: base@0, length@8. */
const IOVEC_SIZE = 16;

/**
 * The argument of sendmmsg(2) and recvmmsg(2): an array of message headers, each with one buffer and one IPv4
 * address. Made once; per packet only the fields that change are written.
 */
export class MessageVector {
  readonly capacity: number;
  /** Address of the first header. */
  readonly address: number;
  private readonly headers: NativeMemory;
  private readonly vectors: NativeMemory;
  private readonly names: NativeMemory;
  private readonly controls: NativeMemory;
  private readonly controlSize: number;

  /** @param options.trains whether received messages tell the size of the datagrams in them: {@link segmentSize} */
  constructor(capacity: number, options: { readonly trains?: boolean } = {}) {
    this.capacity = capacity;
    this.controlSize = options.trains === true ? CONTROL_SIZE : 0;
    this.controls = new NativeMemory(Math.max(1, capacity * this.controlSize));
    this.headers = new NativeMemory(capacity * MMSGHDR_SIZE);
    this.vectors = new NativeMemory(capacity * IOVEC_SIZE);
    this.names = new NativeMemory(capacity * SOCKADDR_IN_SIZE);
    this.address = this.headers.address;
    for (let i = 0; i < capacity; i++) {
      const at = i * MMSGHDR_SIZE;
      this.headers.setPointer(at + NAME, this.names.address + i * SOCKADDR_IN_SIZE);
      this.headers.setPointer(at + NAME_LENGTH, SOCKADDR_IN_SIZE);
      this.headers.setPointer(at + IOV, this.vectors.address + i * IOVEC_SIZE);
      this.headers.setPointer(at + IOV_LENGTH, 1);
      if (this.controlSize > 0) {
        this.headers.setPointer(at + CONTROL, this.controls.address + i * this.controlSize);
      }
    }
  }

  /** Sets where message `index` goes. @param address IPv4 address as a number, host order */
  setIpv4(index: number, address: number, port: number): void {
    writeSockaddrIn(this.names.data, index * SOCKADDR_IN_SIZE, address, port);
  }

  /** Source address of a received message, as a number in host order. */
  ipv4(index: number): number {
    return this.names.data.getUint32(index * SOCKADDR_IN_SIZE + 4);
  }

  /** Source port of a received message. */
  port(index: number): number {
    return this.names.data.getUint16(index * SOCKADDR_IN_SIZE + 2);
  }

  /** Address of header `index`: where a call goes on after a short one. */
  addressAt(index: number): number {
    return this.address + index * MMSGHDR_SIZE;
  }

  setBuffer(index: number, address: number, length: number): void {
    const at = index * IOVEC_SIZE;
    this.vectors.setPointer(at, address);
    this.vectors.data.setUint32(at + 8, length, true);
  }

  /** Length of the buffer as set. */
  bufferLength(index: number): number {
    return this.vectors.data.getUint32(index * IOVEC_SIZE + 8, true);
  }

  /** The kernel writes the lengths it used over the lengths it may use: both are set anew before each receive. */
  resetForReceive(index: number): void {
    const at = index * MMSGHDR_SIZE;
    this.headers.data.setUint32(at + NAME_LENGTH, SOCKADDR_IN_SIZE, true);
    this.headers.data.setUint32(at + CONTROL_LENGTH, this.controlSize, true);
  }

  /** `UDP_GRO`: bytes of each datagram but the last of those that were received as one; 0 for a single one. */
  segmentSize(index: number): number {
    if (this.headers.data.getUint32(index * MMSGHDR_SIZE + CONTROL_LENGTH, true) < CMSG_DATA + 4) return 0;
    const { data } = this.controls;
    const at = index * this.controlSize;
    if (data.getInt32(at + CMSG_LEVEL, true) !== SOL_UDP || data.getInt32(at + CMSG_TYPE, true) !== UDP_GRO) {
      return 0;
    }
    return data.getInt32(at + CMSG_DATA, true);
  }

  /** Bytes received into message `index`. */
  received(index: number): number {
    return this.headers.data.getUint32(index * MMSGHDR_SIZE + MESSAGE_LENGTH, true);
  }

  /** `MSG_TRUNC` and its kin, as the kernel left them. */
  flags(index: number): number {
    return this.headers.data.getUint32(index * MMSGHDR_SIZE + FLAGS, true);
  }
}
