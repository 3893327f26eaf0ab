/**
 * One check of one server. What it finds is the server's; what keeps this node from checking at all (no file
 * descriptor left, no such program here) is its own affair, is thrown as {@link CannotCheck}, and says nothing of the
 * server.
 */

export interface CheckTarget {
  /** The server's name. */
  readonly name: string;
  /** Dotted IPv4 address. */
  readonly dip: string;
}

export type Outcome =
  /** @property latency round trip in milliseconds */
  | { readonly up: true; readonly latency: number }
  /** @property why plain words, without the server's name: `connection refused` */
  | { readonly up: false; readonly why: string };

/**
 * Makes one check; settles within the timeout it was made with.
 * @param stop ends it at once, whatever it then answers
 * @throws CannotCheck
 */
export type Check = (target: CheckTarget, stop: AbortSignal) => Promise<Outcome>;

/** This node cannot make the check; the message says why. */
export class CannotCheck extends Error {
  override readonly name = 'CannotCheck';
}

/** `no answer in 2 s` */
export function noAnswer(timeoutSeconds: number): Outcome {
  return { up: false, why: `no answer in ${timeoutSeconds} s` };
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  EHOSTUNREACH: 'no route to the server',
  // A router says so of a server that has left. Where it is this node that has lost its routes, the quorum of vantages
  // does not follow it, and without the store its reports grow stale.
  ENETUNREACH: 'no route to the server',
  ETIMEDOUT: 'the kernel gave up connecting',
};

/** Errors of this node, not of the server. */
const OWN = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'ENETDOWN',
]);

/** What a failed connection says of the server. @throws CannotCheck when it says nothing */
export function failure(error: NodeJS.ErrnoException): Outcome {
  const { code = '' } = error;
  if (OWN.has(code)) throw new CannotCheck(error.message);
  return { up: false, why: WORDS[code] ?? error.message };
}
