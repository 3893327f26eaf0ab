import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePacket } from '../../src/replay/script/packet-script.js';
import { LISTEN_EVERYWHERE } from '../../src/replay/sockets-file.js';
import { uniformTable } from '../path/support.js';
import { dip, fleetOf, record, run } from './support.js';

const SYN = 'tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN';
const ACK = 'tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK seq 1001';
const verdicts = (packets: ReturnType<typeof run>) =>
  packets.map(({ end, server, steps }) => [
    ...steps.map((step) => `${step.server} ${step.verdict}`),
    `${end} ${server}`,
  ]);

describe('a journey', () => {
  it('follows a packet to the server that takes it in, and its connection stays there', () => {
    expect(verdicts(run(fleetOf(), [SYN, ACK]))).toEqual([
      ['s1 forward', 's2 accept_syn', 'accepted s2'],
      ['s1 forward', 's2 accept_established', 'accepted s2'],
    ]);
  });

  it('goes on to the second hop where the first has no socket', () => {
    const sockets = { '*': { listen: ['tcp *:80'], flows: [], sessions: {} } };
    expect(verdicts(run(fleetOf({ sockets }), [ACK]))).toEqual([
      ['s1 forward', 's2 redirect', 's3 accept_last_hop', 'accepted s3'],
    ]);
  });

  it('begins at the redirector for a wrapped packet, and at --as for any other', () => {
    const wrapped = `gue 10.0.3.1 > 10.0.2.1 ( ${SYN} )`;
    expect(verdicts(run(fleetOf(), [wrapped, SYN], 'journey', 's3'))).toEqual([
      ['s2 accept_syn', 'accepted s2'],
      ['s3 forward', 's2 accept_syn', 'accepted s2'],
    ]);
  });

  it('tells when no server has the address', () => {
    const fleet = fleetOf({ tables: [uniformTable(dip(9), 0)] });
    expect(verdicts(run(fleet, [SYN]))).toEqual([['s1 forward', 'lost s1']]);
  });

  it('ends, whatever the hop list says', () => {
    const hop = fc.constantFrom('10.0.1.1', '10.0.2.1', '10.0.3.1');
    const empty = fleetOf({ sockets: { '*': { listen: [], flows: [], sessions: {} } } });
    fc.assert(
      fc.property(fc.array(hop, { maxLength: 30 }), fc.nat(30), hop, (hops, next, to) => {
        const line = `gue 10.0.0.9 > ${to} hops ${hops.join(' ')} next ${next} ( ${ACK} )`;
        const [packet] = run(empty, [line]);
        expect(packet.steps.length).toBeLessThanOrEqual(31);
        expect(packet.end).toBe(next > hops.length ? 'dropped' : 'accepted');
      }),
    );
  });
});

describe('one stage', () => {
  it('forward stops where the packet leaves', () => {
    const [packet] = run(fleetOf(), [SYN], 'forward');
    expect(packet).toMatchObject({
      packet: 1,
      time: '1700000000.000000005',
      length: 40,
      end: 'sent',
      server: 's1',
      steps: [
        {
          stage: 'forward',
          action: 'send',
          trafficset: 'web',
          length: 40,
          lengthAfter: 80,
          flow: {
            protocol: 'tcp',
            source: '198.51.100.7:40000',
            destination: '192.0.2.1:80',
            tcpFlags: 'SYN',
          },
          lookup: {
            dissector: 'four-tuple',
            key: 'c6336407c00002019c400050',
            buckets: 16,
            firstHop: { dip: '10.0.2.1', server: 's2' },
            secondHop: { dip: '10.0.3.1', server: 's3' },
          },
          hop: null,
          nextHop: { dip: '10.0.2.1', server: 's2' },
        },
      ],
    });
  });

  it('redirect is judged by the server addressed, or by --as', () => {
    const wrapped = `gue 10.0.1.1 > 10.0.2.1 hops 10.0.3.1 ( ${SYN} )`;
    expect(verdicts(run(fleetOf(), [wrapped], 'redirect'))).toEqual([['s2 accept_syn', 'accepted s2']]);
    expect(verdicts(run(fleetOf(), [wrapped], 'redirect', 's3'))).toEqual([
      ['s3 drop_not_ours', 'dropped s3'],
    ]);
  });

  it('redirect tells the hop that was tried', () => {
    const wrapped = `gue 10.0.1.1 > 10.0.2.1 hops 10.0.1.1 10.0.3.1 next 1 ( ${ACK} )`;
    const [packet] = run(
      fleetOf({ sockets: { '*': { listen: [], flows: [], sessions: {} } } }),
      [wrapped],
      'redirect',
    );
    expect(packet.steps[0]).toMatchObject({
      verdict: 'redirect',
      hop: { index: 1, count: 2, to: { dip: '10.0.3.1', server: 's3' } },
      nextHop: { server: 's3' },
      lookup: null,
    });
  });
});

describe('packets that the snap length cut', () => {
  const line = 'tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK seq 1001 data 1000';
  const packet = parsePacket(line);
  const [whole] = run(fleetOf(), [line]);

  it.each([34, 36, 40, 60])('with %i bytes: decided like the whole one', (snap) => {
    const [cut] = run(fleetOf(), [record(packet, { snap })]);
    expect(cut.steps).toEqual(whole.steps);
    expect([cut.length, cut.captured]).toEqual([1040, snap]);
  });

  it.each([0, 1, 19, 20, 21, 23, 33])('with %i bytes: too little to decide', (snap) => {
    const [cut] = run(fleetOf(), [record(packet, { snap })]);
    expect(cut).toMatchObject({ end: 'cut', steps: [] });
  });

  it('leave no trace where they are not decided', () => {
    const fleet = fleetOf();
    run(fleet, [record(parsePacket(SYN), { snap: 22 }), ACK]);
    expect(fleet.servers[0].counters.total(1)).toBe(0);
    let packets = 0;
    fleet.servers[0].counters.forEach((_stage, _set, _verdict, count) => {
      packets += count;
    });
    expect(packets).toBe(1);
  });

  it('whose cut part is not looked at are decided, and those that pass as well', () => {
    const other = parsePacket('udp 198.51.100.7:1 > 203.0.113.9:9 data 100');
    expect(run(fleetOf(), [record(other, { snap: 28 })])[0].end).toBe('passed');
  });
});

it('frames without IP are told apart', () => {
  const arp = Buffer.from(`${'ff'.repeat(12)}0806${'00'.repeat(28)}`, 'hex');
  expect(run(fleetOf(), [record(arp, { linkType: 1 })])[0]).toMatchObject({ end: 'not-ip', server: null });
  expect(run(fleetOf(), [record(arp, { linkType: 1, snap: 13 })])[0]).toMatchObject({ end: 'cut' });
  expect(run(fleetOf(), [record(arp, { linkType: 105 })])[0]).toMatchObject({ end: 'not-ip' });
});

it('a table that is loaded counts from the next packet on', () => {
  const fleet = fleetOf({ sockets: LISTEN_EVERYWHERE });
  expect(verdicts(run(fleet, [SYN]))).toEqual([['s1 forward', 's2 accept_syn', 'accepted s2']]);
  fleet.useTable(uniformTable(dip(3), dip(2)));
  expect(verdicts(run(fleet, [ACK]))).toEqual([
    ['s1 forward', 's3 redirect', 's2 accept_last_hop', 'accepted s2'],
  ]);
});
