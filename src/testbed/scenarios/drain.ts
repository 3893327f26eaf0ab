import { parseIpv4 } from '../../table/address.js';
import { drain as drainTable } from '../../table/edit.js';
import { clientLink, dipOf, FAMILIES, serverName, vip } from '../addresses.js';
import { since } from '../counters.js';
import { CurlDownload } from '../curl-download.js';
import type { DataCenter } from '../data-center.js';
import { portFor } from '../owner.js';
import {
  brokenOf,
  finishAll,
  holdOpen,
  listed,
  openNew,
  progressOf,
  sampleOf,
  tally,
} from './connections.js';

import { countPackets } from './packets.js';
import { Judgement, type Scenario } from './scenario.js';

const OLD = 60;
const NEW = 100;
const DRAINED = 1;
const CURL_CLIENT = 1;
const CURL_BYTES = 600_000;
const CURL_STALL_MS = 20_000;

/** A server is taken out of all first hops and stays as the second: its connections live on, new ones avoid it. */
export const drain: Scenario = {
  name: 'drain',
  title: `Drain: ${serverName(DRAINED)} leaves under ${OLD} long-lived connections`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const held = await holdOpen(dataCenter, OLD);
    const curls = await startCurls(dataCenter);
    const before = await countPackets(fleet);

    const full = fleet.table;
    await fleet.publish(drainTable(full, parseIpv4(dipOf(DRAINED)), { keepSecondHop: true }));
    const inProgress = (await progressOf(dataCenter)).filter(({ bytes, total }) => bytes < total).length;
    const curlsInProgress = curls.filter((curl) => curl.inProgress).length;
    const attempts = await openNew(dataCenter, NEW);
    const outcomes = await finishAll(dataCenter);
    const curlFailures = (await Promise.all(curls.map((curl) => curl.finish(CURL_STALL_MS)))).filter(
      (one) => one !== null,
    );
    const packets = since(before, await countPackets(fleet));
    await fleet.restore(full);

    const name = serverName(DRAINED);
    const onDrained = held.filter(({ server }) => server === name).length + curls.length;
    const broken = brokenOf(outcomes);
    const brokenCount = broken.length + curlFailures.length;
    const failed = attempts.filter(({ error }) => error !== null);
    const servers = tally(attempts.flatMap(({ server }) => server ?? []));

    const judgement = new Judgement();
    judgement.expect(onDrained > curls.length, `no long-lived connection was on ${name}`);
    judgement.expect(inProgress > 0 && curlsInProgress > 0, 'nothing was in progress when the table changed');
    judgement.expect(broken.length === 0, `${broken.length} broke: ${sampleOf(broken)}`);
    judgement.expect(curlFailures.length === 0, curlFailures.join('; '));
    judgement.expect(failed.length === 0, `${failed.length} new connections failed: ${sampleOf(failed)}`);
    judgement.expect(servers[name] === undefined, `${servers[name]} new connections went to ${name}`);
    judgement.expect(packets.redirected > 0, 'no packet took the second hop');
    return judgement.finding(
      [
        `${held.length + curls.length} connections (${onDrained} on ${name}; ${curls.length} by curl): ${brokenCount} broken`,
        `${NEW} new ones: ${listed(servers)}`,
        `${packets.redirected} packets took the second hop`,
      ],
      {
        connections: held.length + curls.length,
        onDrained,
        curl: curls.length,
        broken: brokenCount,
        newConnections: attempts.length,
        newFailed: failed.length,
        newServers: servers,
        redirected: packets.redirected,
      },
    );
  },
};

/** Downloads by curl of both families, all on the server that is to leave. */
function startCurls(dataCenter: DataCenter): Promise<CurlDownload[]> {
  const { table } = dataCenter.requireFleet();
  const requests = FAMILIES.map((family) => {
    const address = vip(1, family);
    // Below the kernel's ephemeral ports, so that none is taken by chance.
    const first = 10_000 + 1000 * family;
    const path = { address: clientLink(CURL_CLIENT).own[family], first, remote: { address, port: 80 } };
    return {
      client: CURL_CLIENT,
      host: family === 4 ? address : `[${address}]`,
      port: portFor(table, DRAINED, path),
      seed: family,
    };
  });
  return CurlDownload.startAll(requests, CURL_BYTES);
}
