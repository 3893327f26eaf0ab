import { AF_INET, check, libc, NativeMemory, SOCK_CLOEXEC, SOCK_DGRAM } from './libc.js';
import { type Advice, NEEDS_NET_ADMIN } from './system-error.js';

/** `struct ifreq`: name@0 (16 bytes with its zero), then a union. */
export const IFREQ_SIZE = 40;
export const IFREQ_UNION = 16;

const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCGIFFLAGS = 0x8913;
const IFF_UP = 1;

const ADVICE: Advice = {
  EPERM: NEEDS_NET_ADMIN,
  ENODEV: 'There is no such interface in this network namespace (see: ip link)',
};

/** An `ifreq` for the named device. Throws a RangeError on names the kernel cannot hold. */
export function newIfreq(name: string): NativeMemory {
  if (!/^[^\s/]{1,15}$/.test(name) || /[^\x21-\x7e]/.test(name)) {
    throw new RangeError(
      `"${name}" is no interface name: 1 to 15 printable characters, no space and no slash`,
    );
  }
  const request = new NativeMemory(IFREQ_SIZE);
  request.bytes.write(name, 0, 'ascii');
  return request;
}

export function ifreqName(request: NativeMemory): string {
  return request.bytes.toString('ascii', 0, request.bytes.indexOf(0));
}

function onDevice(
  name: string,
  requests: (ioctl: (request: number, call: string) => NativeMemory) => void,
): void {
  const memory = newIfreq(name);
  const fd = check(libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    requests((request, call) => {
      check(libc().ioctl(fd, request, memory.address), call, name, ADVICE);
      return memory;
    });
  } finally {
    libc().close(fd);
  }
}

/** MTU of an interface in bytes. */
export function interfaceMtu(name: string): number {
  let mtu = 0;
  onDevice(name, (ioctl) => {
    mtu = ioctl(SIOCGIFMTU, 'SIOCGIFMTU').data.getInt32(IFREQ_UNION, true);
  });
  return mtu;
}

export function setInterfaceMtu(name: string, mtu: number): void {
  onDevice(name, (ioctl) => {
    const memory = ioctl(SIOCGIFMTU, 'SIOCGIFMTU');
    if (memory.data.getInt32(IFREQ_UNION, true) === mtu) return;
    memory.data.setInt32(IFREQ_UNION, mtu, true);
    ioctl(SIOCSIFMTU, 'SIOCSIFMTU');
  });
}

/** Whether there is such an interface, and it is up. */
export function interfaceIsUp(name: string): boolean {
  let flags = 0;
  try {
    onDevice(name, (ioctl) => {
      flags = ioctl(SIOCGIFFLAGS, 'SIOCGIFFLAGS').data.getInt16(IFREQ_UNION, true);
    });
  } catch {
    return false;
  }
  return (flags & IFF_UP) !== 0;
}
