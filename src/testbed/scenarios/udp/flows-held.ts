import type { ForwardingTable } from '../../../table/forwarding-table.js';
import { clientLink, FAMILIES, type Family, serverOf } from '../../addresses.js';
import type { Endpoint, FlowAnswer } from '../../client-protocol.js';
import type { DataCenter } from '../../data-center.js';
import { TestbedError } from '../../errors.js';
import { type FlowService, flowVip } from '../../flow-services.js';
import { bucketOf } from '../../owner.js';

/** UDP flows that clients hold, their ports chosen so that they fall into buckets of one's choice. */

/** Bytes of a small datagram: a token and little else. */
export const SMALL = 32;
/** Below the kernel's ephemeral ports, so that none is taken by chance. */
const FIRST_PORT = 10_000;
const LAST_PORT = 30_000;

/** A flow, the client that holds it (ids are only unique per client), and what its last datagram brought. */
export interface HeldFlow {
  readonly client: number;
  readonly bucket: number;
  readonly answer: FlowAnswer;
}

interface Planned {
  readonly client: number;
  readonly bucket: number;
  readonly localPort: number;
  readonly remote: Endpoint;
}

/** Which flows are wanted. */
interface Opening {
  readonly count: number;
  /** Says which buckets they may fall into. */
  readonly inBucket: (bucket: number) => boolean;
  /** Length of the first datagram. */
  readonly bytes?: number;
}

export class FlowHolder {
  /** Shared by all: a server may remember a flow long after its client has closed it. */
  private static nextPort = FIRST_PORT;

  constructor(private readonly dataCenter: DataCenter) {}

  /** Opens flows with a datagram each: from all clients, over both families. */
  async open(service: FlowService, { count, inBucket, bytes = SMALL }: Opening): Promise<HeldFlow[]> {
    const planned = Array.from({ length: count }, (_, index) => this.plan(service, index, inBucket));
    return this.eachClient(planned, async (client, flows) => {
      const answers = await this.dataCenter.client(client).call('flows-open', { flows, bytes });
      return answers.map((answer, index) => ({ client, bucket: flows[index].bucket, answer }));
    });
  }

  /** {@link open}, and then as many in the other buckets. */
  async openBoth(service: FlowService, options: Opening): Promise<HeldFlow[]> {
    const others = { ...options, inBucket: (bucket: number) => !options.inBucket(bucket) };
    return [...(await this.open(service, options)), ...(await this.open(service, others))];
  }

  /** Sends one more datagram in each. @returns the same flows with their new answers, in another order */
  ask(flows: readonly HeldFlow[], bytes = SMALL): Promise<Asked[]> {
    return this.eachClient(flows, async (client, held) => {
      const ids = held.map(({ answer }) => answer.id);
      const answers = await this.dataCenter.client(client).call('flows-ask', { ids, bytes });
      return answers.map((answer, index) => ({ ...held[index], answer, before: held[index].answer }));
    });
  }

  async close(flows: readonly HeldFlow[]): Promise<void> {
    await this.eachClient(flows, async (client, held) => {
      await this.dataCenter.client(client).call('flows-close', { ids: held.map(({ answer }) => answer.id) });
      return [];
    });
  }

  private plan(service: FlowService, index: number, inBucket: (bucket: number) => boolean): Planned {
    const table = this.dataCenter.requireFleet().tableOf(service.trafficset);
    const { clients } = this.dataCenter.spec;
    const family = FAMILIES[index % FAMILIES.length];
    const client = 1 + (Math.floor(index / FAMILIES.length) % clients);
    const remote = { address: flowVip(family), port: service.port };
    while (FlowHolder.nextPort < LAST_PORT) {
      const localPort = FlowHolder.nextPort++;
      const bucket = bucketOfPort(table, client, family, localPort, remote);
      if (inBucket(bucket)) return { client, bucket, localPort, remote };
    }
    throw new TestbedError(`no local port left for a flow to ${service.trafficset}`);
  }

  /** Hands the flows of each client to `act`; all clients at once. */
  private async eachClient<Flow extends { readonly client: number }, Result>(
    flows: readonly Flow[],
    act: (client: number, flows: readonly Flow[]) => Promise<Result[]>,
  ): Promise<Result[]> {
    const clients = [...new Set(flows.map(({ client }) => client))];
    const results = await Promise.all(
      clients.map((client) =>
        act(
          client,
          flows.filter((flow) => flow.client === client),
        ),
      ),
    );
    return results.flat();
  }
}

/** A flow that was asked again: what its datagram before had brought, beside what this one did. */
export interface Asked extends HeldFlow {
  readonly before: FlowAnswer;
}

/** Another server answered than before. */
export const hasMoved = ({ answer, before }: Asked): boolean => answer.server !== before.server;

/** The socket that answered had not seen this flow before, although an earlier datagram was answered. */
export const beganAnew = ({ answer, before }: Asked): boolean => answer.count <= before.count;

export const unanswered = (flows: readonly HeldFlow[]): HeldFlow[] =>
  flows.filter(({ answer }) => answer.server === null);

/** A new flow, and where the table wanted it. */
export interface Fresh extends HeldFlow {
  readonly due: string;
}

/** New flows belong to the second hop of their bucket, where there is one. */
export function withDue(table: ForwardingTable, flows: readonly HeldFlow[]): Fresh[] {
  return flows.map((flow) => {
    const due = table.secondHop(flow.bucket) || table.firstHop(flow.bucket);
    return { ...flow, due: serverOf(due) };
  });
}

export const wentAstray = ({ answer, due }: Fresh): boolean => answer.server !== due;

function bucketOfPort(
  table: ForwardingTable,
  client: number,
  family: Family,
  port: number,
  remote: Endpoint,
): number {
  return bucketOf(table, { local: { address: clientLink(client).own[family], port }, remote });
}
