import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explain } from '../../src/replay/explain/explain.js';
import { mtuArithmetic } from '../../src/replay/explain/mtu.js';
import { readPacketArgument } from '../../src/replay/explain/packet-argument.js';
import { whyTrafficset } from '../../src/replay/explain/why-trafficset.js';
import { parsePrefix } from '../../src/table/address.js';
import type { TrafficsetConfig } from '../../src/table/trafficset.js';
import { uniformTable } from '../path/support.js';
import { cluster, dip, fleetOf, WEB } from './support.js';

async function explained(line: string, options: { as?: string; against?: [number, number] } = {}) {
  const fleet = fleetOf();
  const frame = await readPacketArgument(line, null);
  const against = options.against === undefined ? null : uniformTable(options.against[0], options.against[1]);
  return explain(frame, fleet, options.as === undefined ? null : (fleet.named(options.as) ?? null), against);
}

const SYN = 'tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN';
const ACK = 'tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK';

describe('an explanation', () => {
  it('tells the way, and what each server would do in each case', async () => {
    const { trafficset, steps, servers } = await explained(ACK);
    expect(trafficset?.because).toEqual([
      'web: its VIP 192.0.2.0/24 covers the destination, and TCP port 80 is in its ports 80',
    ]);
    expect(steps.map(({ server, verdict }) => `${server} ${verdict}`)).toEqual([
      's1 forward',
      's2 redirect',
      's3 accept_last_hop',
    ]);
    expect(
      servers.map(({ server, stage, cases }) => [
        `${server} ${stage}`,
        ...cases.map(({ sockets, verdict, sentTo }) => `${sockets}: ${verdict} ${sentTo ?? 'here'}`),
      ]),
    ).toEqual([
      ['s1 forward', 'whatever its sockets: forward s2'],
      [
        's2 redirect',
        'has the connection: accept_established here',
        'only listens: redirect s3',
        'has no socket: redirect s3',
      ],
      ['s3 redirect', 'whatever its sockets: accept_last_hop here'],
    ]);
  });

  it('gives an account of each decision, and tells what other systems would do', async () => {
    const error =
      'icmp time-exceeded 203.0.113.1 > 192.0.2.1 about ( tcp 192.0.2.1:80 > 198.51.100.7:40000 ACK )';
    const { steps } = await explained(`gue 10.0.9.9 > 10.0.2.1 hops 10.0.3.1 ( ${error} )`);
    expect(steps[0].sentences).toContain(
      'The packet goes where the flow goes that it quotes: ICMP type 11 code 0 is an error about that flow',
    );
    expect(steps[0].elsewhere.map(({ system, reason }) => [system, reason])).toEqual([
      ['cloudflare', 'drop_unwanted_icmp'],
      ['github', 'accept_icmp'],
    ]);
    const [forward] = (await explained(ACK)).steps;
    expect(forward.sentences.at(-1)).toMatch(/^The packet is wrapped and sent to 10.0.2.1: /);
    expect(forward.elsewhere).toEqual([]);
  });

  it('shows the bytes that leave, layer by layer', async () => {
    const { steps } = await explained(SYN);
    expect(steps[0].bytes).toHaveLength(80);
    expect(steps[0].layers.map(({ protocol }) => protocol)).toEqual(['IPv4', 'UDP', 'GUE', 'IPv4', 'TCP']);
    expect(steps[1].bytes).toHaveLength(40);
  });

  it('begins at the server a wrapped packet is addressed to, and looks the inner one up', async () => {
    const { steps, lookup, mtu } = await explained(`gue 10.0.9.9 > 10.0.3.1 ( ${ACK} )`);
    expect(steps.map(({ server, verdict }) => `${server} ${verdict}`)).toEqual(['s3 accept_last_hop']);
    expect(lookup?.firstHop).toEqual({ dip: '10.0.2.1', server: 's2' });
    expect(mtu?.inner).toBe(40);
  });

  it('does the arithmetic of the MTU', async () => {
    expect((await explained(`${ACK} data 1421`)).mtu).toEqual({
      overhead: 40,
      inner: 1461,
      outer: 1501,
      underlayMtu: 1500,
      fits: false,
      largestInner: 1460,
      largestMss: 1420,
      fullPacketLeavesAs: 1540,
    });
    expect(mtuArithmetic(1500, 6, 0, 9000)).toMatchObject({ outer: 1536, fits: true, largestMss: 8904 });
  });

  it('takes an MTU by the packet’s own length, not by the padding behind it', async () => {
    expect((await explained(`${SYN} pad 6`)).mtu?.inner).toBe(40);
  });

  it('compares two tables for the flow', async () => {
    const effects = async (first: number, second: number) =>
      (await explained(SYN, { against: [first, second] })).change?.effects;
    expect(await effects(dip(2), dip(3))).toEqual([
      'a new flow with this key goes to s2, as before',
      'if it lives on s2, it stays: that is the first hop',
      'if it lives on s3, it stays: s2 does not have it and passes it on',
    ]);
    expect(await effects(dip(1), dip(2))).toEqual([
      'a new flow with this key goes to s1, no longer to s2',
      'if it lives on s2, it stays: s1 does not have it and passes it on',
      'if it lives on s3, it BREAKS: the bucket no longer names that server',
    ]);
  });

  it('says why there is nothing to say', async () => {
    expect((await explained('ffffffffffff0000000000000806')).noPath).toMatch(/no IP packet/);
    const passed = await explained('udp 198.51.100.7:1 > 192.0.2.1:80');
    expect(passed.trafficset).toEqual({
      trafficset: null,
      because: ['VIP 192.0.2.0/24 is of web, which serves TCP ports 80, not UDP port 80'],
    });
    expect(passed.lookup).toBe(null);
    expect((await explained('icmp echo 198.51.100.7 > 203.0.113.1')).trafficset?.because).toEqual([
      'no VIP of any trafficset covers it',
    ]);
  });

  it('never throws, whatever the bytes', async () => {
    const fleet = fleetOf();
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 120 }),
      fc
        .tuple(fc.constantFrom('45', '60', '46'), fc.uint8Array({ minLength: 1, maxLength: 120 }))
        .map(([first, rest]) => Uint8Array.from([Number.parseInt(first, 16), ...rest])),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom(1, 101, 113), async (data, linkType) => {
        const frame = await readPacketArgument(Buffer.from(data).toString('hex'), linkType);
        explain(frame, fleet, null, null);
      }),
      { numRuns: 500 },
    );
  });
});

describe('why a trafficset', () => {
  it('agrees with the matcher of the path for any rules and destinations', () => {
    const prefix = fc.tuple(fc.nat(3), fc.constantFrom(8, 24, 26, 30, 32)).map(([host, length]) => {
      const mask = length === 32 ? 0xffffffff : ~(0xffffffff >>> length);
      const address = ((0xc0000200 + host) & mask) >>> 0;
      const octets = [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff);
      return parsePrefix(`${octets.join('.')}/${length}`);
    });
    const range = fc.constantFrom(
      { first: 80, last: 80 },
      { first: 1, last: 1000 },
      { first: 0, last: 65535 },
    );
    const sets = fc.array(fc.tuple(prefix, range, fc.constantFrom('tcp' as const, 'udp-flow' as const)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        sets,
        fc.nat(5),
        fc.constantFrom(6, 17, 1),
        fc.constantFrom(-1, 80, 81, 443),
        (rules, host, protocol, port) => {
          // Only one rule per prefix, range and kind: the others would contradict it.
          const distinct = new Map(
            rules.map(([vip, ports, kind]) => [
              `${vip} ${ports.first} ${ports.last} ${kind}`,
              { vip, ports, kind },
            ]),
          );
          const trafficsets: TrafficsetConfig[] = [...distinct.values()].map(
            ({ vip, ports, kind }, index) => ({
              ...WEB,
              name: `set-${index}`,
              vips: [vip],
              ports: [ports],
              kind,
            }),
          );
          const fleet = fleetOf({ config: cluster(trafficsets), tables: [] });
          // It throws where the two disagree.
          whyTrafficset(fleet.cluster, fleet.servers[0].state, [(0xc0000200 + host) >>> 0], protocol, port);
        },
      ),
    );
  });

  it('names the rules that are less specific', () => {
    const wide = {
      ...WEB,
      name: 'wide',
      vips: [parsePrefix('192.0.0.0/16')],
      ports: [{ first: 1, last: 9999 }],
    };
    const fleet = fleetOf({ config: cluster([wide, WEB]), tables: [] });
    const { because } = whyTrafficset(fleet.cluster, fleet.servers[0].state, [0xc0000201], 6, 80);
    expect(because).toEqual([
      'web: its VIP 192.0.2.0/24 covers the destination, and TCP port 80 is in its ports 80',
      'wide would match too (192.0.0.0/16, ports 1-9999), but is less specific',
    ]);
  });
});

describe('a packet as an argument', () => {
  it.each([
    ['45000014', 101],
    ['0x60 00:00 00', 101],
    ['base64:RQAAFA==', 101],
    ['RQAAFA==', 101],
    // Katran's first fixture: a whole Ethernet frame.
    ['AgAAAAAAAQAAAAAACABFAAArAAEAAEARrU/AqAEBCsgBAXppAFAAF5fea2F0cmFuIHRlc3QgcGt0', 1],
    ['020000000001', 1],
  ])('%s', async (text, linkType) => {
    expect((await readPacketArgument(text, null)).linkType).toBe(linkType);
  });

  it('takes the link layer that is given', async () => {
    expect((await readPacketArgument('4500', 1)).linkType).toBe(1);
  });

  it.each([['base64:!!'], ['nonsense'], ['tcp nowhere'], ['']])('%j is refused', async (text) => {
    await expect(readPacketArgument(text, null)).rejects.toThrow();
  });
});
