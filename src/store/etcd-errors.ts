import {
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
} from 'etcd3';
import { StoreError, type StoreErrorCode } from './store.js';

/** What gRPC says when a request cannot have reached anybody. */
const NOT_SENT =
  /No connection established|ECONNREFUSED|waiting for|Name resolution|before call started|circuit breaker is open/i;

/** Whether the request certainly did not reach etcd: it can be tried with another member. */
export function wasNotSent(error: unknown): boolean {
  return NOT_SENT.test(messageOf(error));
}

/** What etcd says of requests that it did not carry out, and what to do about it. */
const REFUSALS: readonly (readonly [RegExp, StoreErrorCode, string])[] = [
  [
    /database space exceeded/,
    'unwritable',
    'its database is full: compact and defragment it, then disarm the alarm (etcdctl alarm disarm)',
  ],
  [/request is too large|larger than max/, 'too-big', 'raise --max-request-bytes of etcd'],
  [/no leader/, 'unavailable', 'its members have no leader: see that most of them run and reach one another'],
  [/not a learner|not capable/, 'unavailable', 'name its voting members'],
];

/** What went wrong with an etcd, for people. @param writing whether a transaction was under way, which may be done */
export function etcdError(description: string, error: unknown, writing: boolean): Error {
  if (error instanceof StoreError) return error;
  const message = messageOf(error);
  const told = (code: StoreErrorCode, what: string) =>
    new StoreError(code, `${description}: ${what} (${message})`, { cause: error });
  if (error instanceof EtcdLeaseInvalidError) return told('lease-lost', 'the lease has ended');
  if (error instanceof EtcdAuthenticationFailedError || error instanceof EtcdInvalidAuthTokenError) {
    return told(
      'unavailable',
      'it does not know this user or password: correct them in the address of the store',
    );
  }
  if (error instanceof EtcdPermissionDeniedError) {
    return told('unavailable', 'this user may not use the prefix: grant its role readwrite on it');
  }
  for (const [pattern, code, what] of REFUSALS) if (pattern.test(message)) return told(code, what);
  if (writing && !wasNotSent(error)) {
    return told('uncertain', 'it did not answer, and may have done what it was asked: look what is there');
  }
  return told('unavailable', 'it does not answer: see that it runs and can be reached');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
