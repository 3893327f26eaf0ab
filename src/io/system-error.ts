import { getSystemErrorMap } from 'node:util';

/** The error numbers this room looks at (Linux, the same on x86-64 and arm64). */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  EBADFD: 77,
  EMSGSIZE: 90,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
} as const;

/** What to tell the user, by the name of the error. */
export type Advice = Readonly<Record<string, string>>;

/**
 * A system call that failed: `open /dev/net/tun: ENOENT (no such file or directory). Create it with ...`.
 */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** The system call or ioctl request, as in its manual page. */
  readonly call: string;
  readonly errno: number;
  /** `EAGAIN`, `EPERM` ... */
  readonly code: string;
  /** What the user can do about it; empty when nobody knows. */
  readonly advice: string;

  /**
   * @param subject what the call was made on: a path, a device, an address
   * @param advice texts by error name, of which the fitting one is taken
   */
  constructor(call: string, errno: number, subject = '', advice: Advice = {}) {
    const [code, description] = describeErrno(errno);
    const hint = advice[code] ?? '';
    const on = subject === '' ? '' : ` ${subject}`;
    super(`${call}${on}: ${code} (${description})${hint === '' ? '' : `. ${hint}`}`);
    this.call = call;
    this.errno = errno;
    this.code = code;
    this.advice = hint;
  }
}

/** A package, a kernel module or a right that is not there; the message says what helps. */
export class MissingMeansError extends Error {
  override readonly name = 'MissingMeansError';
}

function describeErrno(errno: number): [code: string, description: string] {
  // libuv's table lacks what ordinary programs never see.
  if (errno === Errno.EBADFD) return ['EBADFD', 'the device is gone'];
  return getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
}

/** For devices and socket options that only the superuser of the network namespace may touch. */
export const NEEDS_NET_ADMIN =
  'This needs CAP_NET_ADMIN: run as root, give the node binary the capability ' +
  '(setcap cap_net_admin,cap_net_raw+ep), or try it in a private namespace (unshare -Urn)';

/** For raw sockets. */
export const NEEDS_NET_RAW =
  'This needs CAP_NET_RAW: run as root, give the node binary the capability ' +
  '(setcap cap_net_admin,cap_net_raw+ep), or try it in a private namespace (unshare -Urn)';
