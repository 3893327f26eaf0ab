import {
  AF_INET,
  check,
  libc,
  NativeMemory,
  SO_MEMINFO,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './libc.js';
import { bindIpv4, setOption, setReceiveBuffer } from './socket.js';

const RECEIVE_BUFFER = 8 << 20;
/** `SO_MEMINFO` fills nine 32-bit counters; the last is the packets dropped at a full receive buffer. */
const MEMINFO_SIZE = 36;
const MEMINFO_DROPS = 32;

export interface GueReceiverOptions {
  /** Own DIP as a number (host order). */
  readonly dip: number;
  readonly port: number;
  /** Several sockets on the same port, one per worker; the kernel spreads flows over them. */
  readonly reusePort?: boolean;
}

/** The UDP socket on which GUE arrives. */
export class GueSocket {
  fd: number;
  private readonly meminfo = new NativeMemory(MEMINFO_SIZE + 4);

  /** Binds the socket. Throws a {@link SystemError} with advice. */
  constructor(options: GueReceiverOptions) {
    const c = libc();
    this.fd = check(
      c.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      'socket',
      'AF_INET SOCK_DGRAM',
    );
    try {
      if (options.reusePort === true) setOption(this.fd, SOL_SOCKET, SO_REUSEPORT, 1);
      setReceiveBuffer(this.fd, RECEIVE_BUFFER);
      bindIpv4(this.fd, options.dip, options.port);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Datagrams that the kernel dropped because the receive buffer was full, since the socket was opened. */
  kernelDrops(): number {
    const { data, address } = this.meminfo;
    data.setUint32(MEMINFO_SIZE, MEMINFO_SIZE, true);
    check(
      libc().getsockopt(this.fd, SOL_SOCKET, SO_MEMINFO, address, address + MEMINFO_SIZE),
      'getsockopt',
      'SO_MEMINFO',
    );
    return data.getUint32(MEMINFO_DROPS, true);
  }

  close(): void {
    if (this.fd >= 0) libc().close(this.fd);
    this.fd = -1;
  }
}
