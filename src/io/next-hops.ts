import { AF_INET, AF_NETLINK, check, libc, NativeMemory, SOCK_CLOEXEC, SOCK_RAW } from './libc.js';

/**
 * Which interface and which Ethernet address a packet to an IPv4 address leaves by: the kernel's own route and neighbour
 * tables, asked by rtnetlink. Cold: asked once a second per destination. Sources: rtnetlink(7),
 * include/uapi/linux/{rtnetlink,neighbour,if_link}.h. Netlink numbers are native-endian, which here is little.
 */

const NETLINK_ROUTE = 0;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
/** `struct nlmsghdr`: length@0, type@4, flags@6, sequence@8, port@12. */
const HEADER = 16;
const RTM_GETLINK = 18;
const RTM_GETROUTE = 26;
const RTM_GETNEIGH = 30;
/** `struct rtmsg`, `ndmsg`, `ifinfomsg`. */
const ROUTE = 12;
const NEIGHBOUR = 12;
const LINK = 16;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const IFLA_ADDRESS = 1;
const IFLA_MTU = 4;
const RTN_UNICAST = 1;
const ARPHRD_ETHER = 1;
/**
 * States in which the kernel itself would send: REACHABLE, DELAY, PROBE, NOARP, PERMANENT. Not STALE, though it would
 * then too: it needs a packet of its own to ask the neighbour again, and goes over to DELAY with it.
 */
const USABLE = 0x02 | 0x08 | 0x10 | 0x40 | 0x80;
const BUFFER_SIZE = 16_384;
const ETHERNET_ADDRESS = 6;

export interface NextHop {
  readonly interfaceIndex: number;
  /** Of the interface, in bytes. */
  readonly mtu: number;
  /** Ethernet addresses of the interface, and of the neighbour that takes the packets. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

export class NextHops {
  private descriptor: number;
  private sequence = 0;
  private readonly buffer = new NativeMemory(BUFFER_SIZE);

  constructor() {
    this.descriptor = check(
      libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
      'socket',
      'NETLINK_ROUTE',
    );
  }

  /**
   * @param destination IPv4 address as a number
   * @returns null when packets to it cannot leave as Ethernet frames of ours: no route, no Ethernet, or a neighbour
   *   that the kernel has not confirmed lately. A packet sent the ordinary way makes it do so.
   */
  find(destination: number): NextHop | null {
    const to = new Uint8Array(4);
    new DataView(to.buffer).setUint32(0, destination);
    const family = Uint8Array.of(AF_INET, 32);
    const route = this.ask(RTM_GETROUTE, ROUTE, family, RTA_DST, to);
    if (route === null || route.body[7] !== RTN_UNICAST) return null;
    const out = route.attributes.get(RTA_OIF);
    if (out === undefined) return null;
    const interfaceIndex = out.readInt32LE();

    const index = Buffer.alloc(8);
    index[0] = AF_INET;
    index.writeInt32LE(interfaceIndex, 4);
    const gateway = route.attributes.get(RTA_GATEWAY) ?? to;
    const neighbour = this.ask(RTM_GETNEIGH, NEIGHBOUR, index, NDA_DST, gateway);
    if (neighbour === null || (neighbour.body.readUInt16LE(8) & USABLE) === 0) return null;
    index[0] = 0;
    const link = this.ask(RTM_GETLINK, LINK, index);
    if (link === null || link.body.readUInt16LE(2) !== ARPHRD_ETHER) return null;
    const source = link.attributes.get(IFLA_ADDRESS);
    const address = neighbour.attributes.get(NDA_LLADDR);
    const mtu = link.attributes.get(IFLA_MTU)?.readUInt32LE();
    if (source?.length !== ETHERNET_ADDRESS || address?.length !== ETHERNET_ADDRESS || mtu === undefined) {
      return null;
    }
    return { interfaceIndex, mtu, source, destination: address };
  }

  /** One request and its answer, copied: the message's fixed part and its attributes by type; null for an error. */
  private ask(
    type: number,
    fixed: number,
    body: Uint8Array,
    attribute?: number,
    value: Uint8Array = new Uint8Array(0),
  ): { body: Buffer; attributes: Map<number, Buffer> } | null {
    const { bytes, data, address } = this.buffer;
    const length = HEADER + fixed + (attribute === undefined ? 0 : 4 + value.length);
    bytes.fill(0, 0, length);
    data.setUint32(0, length, true);
    data.setUint16(4, type, true);
    data.setUint16(6, NLM_F_REQUEST, true);
    data.setUint32(8, ++this.sequence, true);
    bytes.set(body, HEADER);
    if (attribute !== undefined) {
      data.setUint16(HEADER + fixed, 4 + value.length, true);
      data.setUint16(HEADER + fixed + 2, attribute, true);
      bytes.set(value, HEADER + fixed + 4);
    }
    // The kernel has answered when sendto returns.
    if (libc().sendto(this.descriptor, address, length, 0, 0, 0) !== length) return null;
    const received = libc().read(this.descriptor, address, BUFFER_SIZE);
    if (received < HEADER || data.getUint16(4, true) === NLMSG_ERROR) return null;
    const end = Math.min(received, data.getUint32(0, true));
    const attributes = new Map<number, Buffer>();
    for (let at = HEADER + fixed; at + 4 <= end; ) {
      const size = data.getUint16(at, true);
      if (size < 4) break;
      attributes.set(data.getUint16(at + 2, true) & 0x3fff, Buffer.from(bytes.subarray(at + 4, at + size)));
      at += (size + 3) & ~3;
    }
    return { body: Buffer.from(bytes.subarray(HEADER, HEADER + fixed)), attributes };
  }

  close(): void {
    if (this.descriptor >= 0) libc().close(this.descriptor);
    this.descriptor = -1;
  }
}
