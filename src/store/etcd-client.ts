import { randomUUID } from 'node:crypto';
import { ConsecutiveBreaker, circuitBreaker, handleWhen, noop } from 'cockatiel';
import {
  CompareResult,
  CompareTarget,
  Etcd3,
  type IRangeResponse,
  type IRequestOp,
  type ITxnRequest,
  type ITxnResponse,
  isRecoverableError,
} from 'etcd3';
import type { StoreAddress } from './address.js';
import { etcdError, wasNotSent } from './etcd-errors.js';
import { type Entry, type Listing, StoreError } from './store.js';

export type EtcdAddress = Extract<StoreAddress, { type: 'etcd' }>;

/** Under the prefix, and no key of ours: says whether this is the data that was there before. */
const IDENTITY = '.identity';
const AVOID_MS = 1_000;

/**
 * The calls to etcd that a store is made of, with keys behind the prefix and every call ended by a time limit. No call is
 * made twice by itself where the first may have been carried out.
 */
export class EtcdClient {
  readonly etcd: Etcd3;
  private closed = false;

  constructor(
    readonly description: string,
    private readonly address: EtcdAddress,
    private readonly timeoutMs: number,
    /** Called whenever etcd has answered. */
    private readonly heard: () => void,
  ) {
    const { hosts, auth } = address;
    this.etcd = new Etcd3({
      hosts: [...hosts],
      ...(auth === null ? {} : { auth: { ...auth, callOptions: () => this.options() } }),
      // Tries that nobody asked for would hide failures.
      faultHandling: { host: () => (hosts.length === 1 ? noop : avoidForAWhile()), global: noop },
      grpcOptions: {
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.min_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 300,
        // A listing is one answer, and may be more than the 4 MiB that gRPC allows by itself.
        'grpc.max_receive_message_length': -1,
        // For connections that are dead without a word; etcd allows one every five seconds.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 3_000,
      },
    });
  }

  /** Of a key or prefix as etcd sees it. */
  bytesOf(key: string): Buffer {
    return Buffer.from(this.address.prefix + key);
  }

  keyOf(bytes: Buffer): string {
    return bytes.toString().slice(this.address.prefix.length);
  }

  /** The end of the range of keys that begin with a prefix. */
  endOf(prefix: string): Buffer {
    // Our prefixes end in ASCII.
    const end = Buffer.from(this.bytesOf(prefix));
    end[end.length - 1]++;
    return end;
  }

  async get(key: string): Promise<Entry | null> {
    const { kvs } = await this.read(() => this.etcd.kv.range({ key: this.bytesOf(key) }, this.options()));
    return kvs.length === 0 ? null : this.entryOf(kvs[0]);
  }

  async list(prefix: string): Promise<Listing> {
    const request = { key: this.bytesOf(prefix), range_end: this.endOf(prefix) };
    const { header, kvs } = await this.read(() => this.etcd.kv.range(request, this.options()));
    const entries = kvs.map((kv) => this.entryOf(kv)).filter(({ key }) => !isOwnKey(key));
    return { revision: Number(header.revision), entries };
  }

  entryOf(kv: IRangeResponse['kvs'][number]): Entry {
    return {
      key: this.keyOf(kv.key),
      value: new Uint8Array(kv.value),
      revision: Number(kv.mod_revision),
      created: Number(kv.create_revision),
    };
  }

  /** @throws StoreError; `uncertain` when it may have been done */
  async txn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.call(() => this.etcd.kv.txn(request, this.options()), true);
  }

  /** @throws StoreError `unavailable` */
  async read<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    return this.call(call, false);
  }

  /**
   * Which data this is, and how far it has got; named by the first who comes.
   * @throws StoreError
   */
  async identity(): Promise<{ readonly id: string; readonly revision: number }> {
    const key = this.bytesOf(IDENTITY);
    const answer = await this.txn({
      compare: [{ key, target: CompareTarget.Create, result: CompareResult.Equal, create_revision: 0 }],
      success: [{ request_put: { key, value: Buffer.from(randomUUID()) } }, rangeOf(key)],
      failure: [rangeOf(key)],
    });
    const range = answer.responses.at(-1)?.response_range;
    const value = range?.kvs.at(0)?.value;
    if (value === undefined) {
      throw new StoreError('damaged', `${this.description}: it does not say what it holds`);
    }
    return { id: value.toString(), revision: Number(answer.header.revision) };
  }

  options(timeoutMs = this.timeoutMs): { deadline: number } {
    return { deadline: Date.now() + timeoutMs };
  }

  close(): void {
    this.closed = true;
    this.etcd.close();
  }

  private async call<Answer>(call: () => Promise<Answer>, writing: boolean): Promise<Answer> {
    if (this.closed) throw new StoreError('unavailable', `${this.description} was closed`);
    // Each takes one member by chance; one that was not there is not taken again for a while.
    for (let left = this.address.hosts.length - 1; ; left--) {
      try {
        const answer = await call();
        this.heard();
        return answer;
      } catch (error) {
        if (left > 0 && !this.closed && wasNotSent(error)) continue;
        throw etcdError(this.description, error, writing);
      }
    }
  }
}

export function isOwnKey(key: string): boolean {
  return key === IDENTITY;
}

/** For a member of several that does not answer: others are asked until then. */
function avoidForAWhile() {
  const recoverable = handleWhen((error) => isRecoverableError(error));
  return circuitBreaker(recoverable, { halfOpenAfter: AVOID_MS, breaker: new ConsecutiveBreaker(1) });
}

function rangeOf(key: Buffer): IRequestOp {
  return { request_range: { key } };
}
