import { formatIpv4 } from '../wire/address.js';
import {
  AF_INET,
  check,
  libc,
  NativeMemory,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOL_SOCKET,
} from './libc.js';
import type { Advice } from './system-error.js';

/** What the IPv4 sockets of this room have in common. Cold: used while opening. */

/** `struct sockaddr_in`. */
export const SOCKADDR_IN_SIZE = 16;

/** Writes a `struct sockaddr_in`. @param address IPv4 address as a number, host order */
export function writeSockaddrIn(data: DataView, at: number, address: number, port: number): void {
  data.setUint16(at, AF_INET, true);
  data.setUint16(at + 2, port);
  data.setUint32(at + 4, address);
  data.setUint32(at + 8, 0);
  data.setUint32(at + 12, 0);
}

const BIND_ADVICE: Advice = {
  EADDRNOTAVAIL: 'No interface here has this address: give it to one, or correct the configuration',
  EADDRINUSE: 'Another process has this port: is a node already running?',
  EACCES: 'Ports below 1024 need CAP_NET_BIND_SERVICE',
};

export function bindIpv4(fd: number, address: number, port: number): void {
  const name = new NativeMemory(SOCKADDR_IN_SIZE);
  writeSockaddrIn(name.data, 0, address, port);
  const subject = port === 0 ? formatIpv4(address) : `${formatIpv4(address)}:${port}`;
  check(libc().bind(fd, name.address, SOCKADDR_IN_SIZE), 'bind', subject, BIND_ADVICE);
}

/** Sets an `int` option; false when the kernel refuses. */
export function setOption(fd: number, level: number, option: number, value: number): boolean {
  const memory = new NativeMemory(4);
  memory.data.setInt32(0, value, true);
  return libc().setsockopt(fd, level, option, memory.address, 4) === 0;
}

/** Buffers of `bytes`, beyond the sysctl limit where we may, up to it otherwise. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  if (!setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes)) setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

export function setSendBuffer(fd: number, bytes: number): void {
  if (!setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes)) setOption(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}
