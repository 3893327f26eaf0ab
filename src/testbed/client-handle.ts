import type { ChildProcess } from 'node:child_process';
import type { ClientAnswer, ClientOperation, ClientOperations, ClientRequest } from './client-protocol.js';
import { TestbedError } from './errors.js';
import { readJsonLines, writeJsonLine } from './json-lines.js';

interface Pending {
  resolve(response: unknown): void;
  reject(error: Error): void;
}

/** A scenario's hold on a client process. */
export class ClientHandle {
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;

  constructor(
    /** Of its client, from 1. */
    readonly number: number,
    readonly name: string,
    private readonly child: ChildProcess,
  ) {
    if (child.stdout === null || child.stdin === null) throw new Error('a client needs pipes');
    child.stdin.on('error', () => {});
    readJsonLines(
      child.stdout,
      (value) => this.settle(value as ClientAnswer),
      () => this.abandon(),
    );
  }

  /** @throws {TestbedError} when the client could not do it */
  call<Operation extends ClientOperation>(
    operation: Operation,
    request: ClientOperations[Operation]['request'],
  ): Promise<ClientOperations[Operation]['response']> {
    const id = this.nextId++;
    const message: ClientRequest<Operation> = { id, operation, request };
    return new Promise((resolve, reject) => {
      this.pending.set(id, {
        resolve: (response) => resolve(response as ClientOperations[Operation]['response']),
        reject,
      });
      if (this.child.stdin === null || !this.child.stdin.writable) this.abandon();
      else writeJsonLine(this.child.stdin, message);
    });
  }

  private settle(answer: ClientAnswer): void {
    const pending = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    if ('error' in answer) pending?.reject(new TestbedError(`client ${this.name}: ${answer.error}`));
    else pending?.resolve(answer.response);
  }

  private abandon(): void {
    for (const { reject } of this.pending.values()) {
      reject(new TestbedError(`client ${this.name} is gone`));
    }
    this.pending.clear();
  }
}
