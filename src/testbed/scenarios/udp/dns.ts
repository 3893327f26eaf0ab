import { dipOf, FAMILIES, type Family, serverLink, serverName } from '../../addresses.js';
import { since } from '../../counters.js';
import { dnsVip, LONG, LONG_STRINGS, queriesAnswered } from '../../name-server.js';
import type { Site } from '../../site.js';
import { listed } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { type Deliveries, deliveries, total } from './deliveries.js';
import { askAll, askFor, type DnsReport } from './dnsperf.js';

/** The server that is asked without the load balancer. */
const DIRECT = 1;
const SECONDS = 1;
/** Queries to one server's own address, and to the VIP: how fast, and by whom they are answered. */
export const dns: Scenario = {
  name: 'dns',
  title: `DNS: dnsperf asks nsd at the VIP, and at ${dipOf(DIRECT)} itself`,
  async run(dataCenter) {
    const fleet = dataCenter.requireFleet();
    const { servers, clients } = dataCenter.sites;
    const answeredBefore = await answeredByEach(servers);
    const delivered = await deliveries(fleet, 'dns');
    const runs: Record<Family, { direct: DnsReport; vip: DnsReport }> = {
      4: await besideDirect(clients[0], 4),
      6: await besideDirect(clients[0], 6),
    };
    const byNodes = since(delivered, await deliveries(fleet, 'dns'));
    const answered = since(answeredBefore, await answeredByEach(servers));

    const overTcp = await askAll({ client: clients[0], address: dnsVip(4), over: 'tcp' });
    const strings = await Promise.all(FAMILIES.map((family) => longAnswer(clients[0], family)));

    const all = FAMILIES.flatMap((family) => [runs[family].direct, runs[family].vip]);
    const lost = [...all, overTcp].reduce((sum, { sent, answered }) => sum + sent - answered, 0);
    const direct = runs[4].direct.sent + runs[6].direct.sent;
    const viaVip = runs[4].vip.sent + runs[6].vip.sent;
    const asked = serverName(DIRECT);
    const byNsd: Deliveries = { ...answered, [asked]: answered[asked] - direct };
    const whole = strings.filter((count) => count === LONG_STRINGS).length;
    const judgement = new Judgement();
    judgement.expect(lost === 0, `${lost} queries were not answered`);
    judgement.expect(
      total(byNodes) === viaVip,
      `${viaVip} queries went to the VIP, but nodes handed ${total(byNodes)} to their servers`,
    );
    judgement.expect(
      Object.values(byNodes).every((count) => count > 0),
      `not every server was asked: ${listed(byNodes)}`,
    );
    judgement.expect(
      servers.every(({ name }) => byNsd[name] === byNodes[name]),
      `by its own account nsd answered ${listed(byNsd)}, but nodes handed over ${listed(byNodes)}`,
    );
    judgement.expect(
      whole === strings.length,
      `of a long answer with ${LONG_STRINGS} strings ${strings.join(' and ')} came`,
    );
    return judgement.finding(
      [
        ...FAMILIES.map((family) => line(family, runs[family])),
        `${viaVip} queries to the VIP: ${listed(byNodes)} by the nodes' account, ${listed(byNsd)} by nsd's; ${lost} lost`,
        `${whole} of ${strings.length} truncated answers came whole over TCP; ${overTcp.answered} of ${overTcp.sent} queries over TCP alone`,
      ],
      {
        directPerSecond: runs[4].direct.perSecond,
        vipPerSecond: runs[4].vip.perSecond,
        directPerSecondIpv6: runs[6].direct.perSecond,
        vipPerSecondIpv6: runs[6].vip.perSecond,
        sent: viaVip,
        lost,
        delivered: byNodes,
        answered,
        overTcp: overTcp.answered,
      },
    );
  },
};

async function besideDirect(client: Site, family: Family): Promise<{ direct: DnsReport; vip: DnsReport }> {
  return {
    direct: await askFor({ client, address: serverLink(DIRECT).own[family] }, SECONDS),
    vip: await askFor({ client, address: dnsVip(family) }, SECONDS),
  };
}

function line(family: Family, { direct, vip }: { direct: DnsReport; vip: DnsReport }): string {
  const ratio = (vip.perSecond / direct.perSecond).toFixed(2);
  return `IPv${family}: ${vip.perSecond} queries per second through the VIP, ${direct.perSecond} directly: ${ratio} of it`;
}

async function answeredByEach(servers: readonly Site[]): Promise<Deliveries> {
  const counts = await Promise.all(
    servers.map(async (server) => [server.name, await queriesAnswered(server)]),
  );
  return Object.fromEntries(counts);
}

/** Asks with dig for an answer that is truncated over UDP. @returns how many of its strings came at last */
async function longAnswer(client: Site, family: Family): Promise<number> {
  const { stdout } = await client.script(`dig @${dnsVip(family)} ${LONG} TXT`);
  if (!stdout.includes('Truncated, retrying in TCP mode')) return 0;
  return stdout.match(/"\d+\.*"/g)?.length ?? 0;
}
