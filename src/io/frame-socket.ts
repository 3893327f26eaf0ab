import { AF_PACKET, check, libc, NativeMemory, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from './libc.js';
import { setOption, setSendBuffer } from './socket.js';
import { NEEDS_NET_RAW, SystemError } from './system-error.js';

const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
/** `struct sockaddr_ll`: family@0, protocol@2, interface@4; protocol 0 means that nothing is received. */
const SOCKADDR_LL_SIZE = 20;
const SEND_BUFFER = 8 << 20;

/**
 * A packet socket that sends Ethernet frames behind virtio headers, and so leaves trains to be cut to the kernel or the
 * network card (packet(7)).
 * @param interfaceIndex 0 for none yet: to find out whether the kernel can
 * @returns its descriptor. Throws a {@link SystemError}
 */
export function openFrameSocket(interfaceIndex: number): number {
  const c = libc();
  const fd = check(c.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket', 'AF_PACKET', {
    EPERM: NEEDS_NET_RAW,
  });
  try {
    if (!setOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1)) {
      throw new SystemError('setsockopt', c.errno(), 'PACKET_VNET_HDR');
    }
    setSendBuffer(fd, SEND_BUFFER);
    if (interfaceIndex !== 0) {
      const name = new NativeMemory(SOCKADDR_LL_SIZE);
      name.data.setUint16(0, AF_PACKET, true);
      name.data.setInt32(4, interfaceIndex, true);
      check(c.bind(fd, name.address, SOCKADDR_LL_SIZE), 'bind', `interface ${interfaceIndex}`);
    }
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  }
}
