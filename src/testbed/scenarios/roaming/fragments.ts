import { clientName, FAMILIES } from '../../addresses.js';
import { since } from '../../counters.js';
import { CLIENT_MTU } from '../../network.js';
import { type FragmentCounts, fragmentCounts } from '../../wireguard/ip-counters.js';
import { uploadThroughTunnel } from '../../wireguard/upload.js';
import { Judgement, type Scenario } from '../scenario.js';
import { enteringElsewhere, type NarrowSession } from './narrow-session.js';
import { NARROW_CLIENT } from './sessions.js';

/** The least that IPv6 allows. What fits into the tunnel does not fit into this. */
const NARROW_MTU = 1280;
const BYTES = 300_000;
const PATIENCE_S = 30;

interface Upload {
  /** What went wrong, or null. */
  readonly failure: string | null;
  readonly made: number;
  readonly reassembled: number;
}

/** Only the first fragment of a datagram has the clientid, and the ports: the others have to follow it. */
export const fragments: Scenario = {
  name: 'fragments',
  title: `Fragments: the own link of ${clientName(NARROW_CLIENT)} takes ${NARROW_MTU} bytes`,
  async run(dataCenter) {
    const { network } = dataCenter;
    await network.setClientMtu(NARROW_CLIENT, NARROW_MTU);
    const seen: NarrowSession<Upload>[] = [];
    for (const family of FAMILIES) {
      seen.push(
        await enteringElsewhere(dataCenter, family, async (holder) => {
          const counts = async (): Promise<{ client: FragmentCounts; server: FragmentCounts }> => ({
            client: await fragmentCounts(clientName(NARROW_CLIENT), family),
            server: await fragmentCounts(holder, family),
          });
          const before = await counts();
          const failure = await uploadThroughTunnel(NARROW_CLIENT, BYTES, PATIENCE_S);
          const { client, server } = since(before, await counts());
          return { failure, made: client.made, reassembled: server.reassembled };
        }),
      );
    }
    await network.setClientMtu(NARROW_CLIENT, CLIENT_MTU);

    const judgement = new Judgement();
    for (const { family, server, session, transfer, packets } of seen) {
      const { failure, made, reassembled } = transfer;
      judgement.expect(failure === null, `the upload over IPv${family} failed: ${failure}`);
      judgement.expect(session === null, `the session over IPv${family} did not stay: ${session}`);
      judgement.expect(made > 0, `the client made no fragments over IPv${family}`);
      judgement.expect(reassembled > 0, `${server} put no fragments together over IPv${family}`);
      judgement.expect(packets.forwarded > 0, `no packet over IPv${family} entered elsewhere`);
      judgement.expect(
        packets.astray === 0,
        `${packets.astray} packets over IPv${family} reached a server that does not hold their session`,
      );
    }
    return judgement.finding(
      seen.map(
        ({ family, server, transfer: { failure, made, reassembled }, packets }) =>
          `IPv${family}: ${made} fragments sent, ${packets.forwarded} packets forwarded to ${server}, ` +
          `${reassembled} datagrams put together there; upload ${failure === null ? 'completed' : 'failed'}`,
      ),
      {
        fragments: seen.reduce((sum, { transfer }) => sum + transfer.made, 0),
        forwarded: seen.reduce((sum, { packets }) => sum + packets.forwarded, 0),
        reassembled: seen.reduce((sum, { transfer }) => sum + transfer.reassembled, 0),
        failed: seen.filter(({ transfer }) => transfer.failure !== null).length,
      },
    );
  },
};
