import { get } from 'node:http';
import type {
  Attempt,
  ClientAnswer,
  ClientOperation,
  ClientOperations,
  ClientRequest,
  Endpoint,
  FlowAnswer,
  Held,
  LoadReport,
  Outcome,
  Tuple,
  WorkDone,
} from './client-protocol.js';
import { type HeldConnection, reasonOf, tupleOf } from './held-connection.js';
import { makeHeld } from './held-kinds.js';
import { readJsonLines, writeJsonLine } from './json-lines.js';
import { UdpFlow } from './udp-flow.js';
import { WorkLoad } from './work-load.js';

/**
 * The client process in a client's namespace. It does with ordinary kernel sockets what it is told on standard
 * input, and ends when that closes.
 */
export function serveClient(): void {
  const client = new Client();
  readJsonLines(
    process.stdin,
    (value) => {
      const { id, operation, request } = value as ClientRequest;
      client.perform(operation, request).then(
        (response) => reply({ id, response }),
        (error) => reply({ id, error: reasonOf(error) }),
      );
    },
    () => process.exit(0),
  );
}

function reply(answer: ClientAnswer): void {
  writeJsonLine(process.stdout, answer);
}

type Request<Operation extends ClientOperation> = ClientOperations[Operation]['request'];

class Client {
  private readonly held = new Map<number, HeldConnection>();
  private readonly flows = new Map<number, UdpFlow>();
  private nextId = 1;
  private load: Load | null = null;
  private work: WorkLoad | null = null;

  async perform(operation: ClientOperation, request: Request<ClientOperation>): Promise<unknown> {
    switch (operation) {
      case 'burst':
        return this.burst(request as Request<'burst'>);
      case 'hold':
        return this.hold(request as Request<'hold'>);
      case 'progress':
        return [...this.held.values()].map((connection) => connection.progress());
      case 'finish':
        return this.finish(request as Request<'finish'>);
      case 'load-start':
        return this.startLoad(request as Request<'load-start'>);
      case 'load-stop':
        return this.stopLoad();
      case 'work-start':
        return this.startWork(request as Request<'work-start'>);
      case 'work-taken':
        return this.work?.take() ?? [];
      case 'work-stop':
        return this.stopWork();
      case 'flows-open':
        return this.openFlows(request as Request<'flows-open'>);
      case 'flows-ask':
        return this.askFlows(request as Request<'flows-ask'>);
      case 'flows-close':
        return this.closeFlows(request as Request<'flows-close'>);
    }
  }

  private async burst({ count, targets, concurrency, timeoutMs }: Request<'burst'>): Promise<Attempt[]> {
    const attempts: Attempt[] = [];
    let started = 0;
    const worker = async (): Promise<void> => {
      while (started < count) {
        const target = targets[started++ % targets.length];
        attempts.push(await attempt(target, timeoutMs));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return attempts;
  }

  private async hold({ count, kinds, targets, bytes, pace }: Request<'hold'>): Promise<Held[]> {
    const opening: Promise<Held>[] = [];
    for (let n = 0; n < count; n++) {
      for (const kind of kinds) {
        const target = targets[opening.length % targets.length];
        const connection = makeHeld(kind, this.nextId++, target, bytes, pace);
        this.held.set(connection.id, connection);
        opening.push(connection.open());
      }
    }
    return Promise.all(opening);
  }

  private async finish({ stallMs, servers }: Request<'finish'>): Promise<Outcome[]> {
    const connections = [...this.held.values()].filter(
      ({ server }) => servers === null || servers.includes(server),
    );
    for (const { id } of connections) this.held.delete(id);
    return Promise.all(connections.map((connection) => connection.finish(stallMs)));
  }

  private startLoad({ perSecond, targets, timeoutMs }: Request<'load-start'>): null {
    if (this.load !== null) throw new Error('the load is already on');
    this.load = new Load(perSecond, targets, timeoutMs);
    return null;
  }

  private async stopLoad(): Promise<LoadReport> {
    if (this.load === null) throw new Error('there is no load');
    const load = this.load;
    this.load = null;
    return load.stop();
  }

  private startWork(spec: Request<'work-start'>): null {
    if (this.work !== null) throw new Error('the work is already on');
    this.work = new WorkLoad(spec);
    return null;
  }

  private async stopWork(): Promise<WorkDone[]> {
    if (this.work === null) throw new Error('there is no work');
    const work = this.work;
    this.work = null;
    return work.stop();
  }

  /** One after another: a service that forks for every flow takes its time. */
  private async openFlows({ flows, bytes }: Request<'flows-open'>): Promise<FlowAnswer[]> {
    const answers: FlowAnswer[] = [];
    for (const { localPort, remote } of flows) {
      const flow = await UdpFlow.open(this.nextId++, localPort, remote);
      this.flows.set(flow.id, flow);
      answers.push(await flow.ask(bytes));
    }
    return answers;
  }

  private async askFlows({ ids, bytes }: Request<'flows-ask'>): Promise<FlowAnswer[]> {
    const answers: FlowAnswer[] = [];
    for (const id of ids) answers.push(await this.flow(id).ask(bytes));
    return answers;
  }

  private async closeFlows({ ids }: Request<'flows-close'>): Promise<null> {
    for (const id of ids) {
      this.flow(id).close();
      this.flows.delete(id);
    }
    return null;
  }

  private flow(id: number): UdpFlow {
    const flow = this.flows.get(id);
    if (flow === undefined) throw new Error(`there is no UDP flow ${id}`);
    return flow;
  }
}

/** New connections at a steady pace, whatever became of those before. */
class Load {
  private readonly attempts: Promise<Attempt>[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(perSecond: number, targets: readonly Endpoint[], timeoutMs: number) {
    const begin = (): void => {
      const target = targets[this.attempts.length % targets.length];
      this.attempts.push(attempt(target, timeoutMs));
    };
    this.timer = setInterval(begin, 1000 / perSecond);
    begin();
  }

  async stop(): Promise<LoadReport> {
    clearInterval(this.timer);
    const attempts = await Promise.all(this.attempts);
    const servers: Record<string, number> = {};
    for (const { server } of attempts) {
      if (server !== null) servers[server] = (servers[server] ?? 0) + 1;
    }
    return {
      attempts: attempts.length,
      servers,
      failures: attempts.filter(({ error }) => error !== null),
    };
  }
}

/** One new connection, one request, one answer. Never rejects. */
function attempt(remote: Endpoint, timeoutMs: number): Promise<Attempt> {
  return new Promise((resolve) => {
    let tuple: Tuple | null = null;
    const request = get({ host: remote.address, port: remote.port, path: '/', agent: false });
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    const settle = (server: string | null, error: string | null): void => {
      clearTimeout(timer);
      resolve({ remote, local: tuple?.local ?? null, server, error });
    };
    request.on('socket', (socket) =>
      socket.on('connect', () => {
        tuple = tupleOf(socket);
      }),
    );
    request.on('error', (error) => settle(null, reasonOf(error)));
    request.on('response', (response) => {
      const server = response.headers['x-server'];
      response.on('error', (error) => settle(null, reasonOf(error)));
      response.on('end', () => {
        if (typeof server === 'string') settle(server, null);
        else settle(null, `HTTP ${response.statusCode} without x-server`);
      });
      response.resume();
    });
  });
}
