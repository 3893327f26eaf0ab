import { describe, expect, it } from 'vitest';
import { FlowKey } from '../../src/flow/flow-key.js';
import { halfSipHash24 } from '../../src/flow/halfsiphash.js';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters, Stage } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { SocketState } from '../../src/path/sockets.js';
import { type PathConfig, PathState } from '../../src/path/state.js';
import { Action, VERDICTS, Verdict } from '../../src/path/verdict.js';
import { TCP_ACK, TCP_SYN } from '../../src/wire/tcp.js';
import { addressBytes, CLIENT4, CLIENT6, makePacket, makeTooBig, VIP4, VIP6, wrapPacket } from './packets.js';
import { FakeSockets, OTHER, pathConfig, SELF, THIRD, uniformTable } from './support.js';

const WEB = { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'] } as const;
const DNS = { name: 'dns', kind: 'request-response', vips: ['192.0.2.0/24'] } as const;

function forward(config: PathConfig, packet: Uint8Array, sockets = new FakeSockets()) {
  const batch = new PacketBatch({ capacity: 4 });
  batch.push(packet);
  const counters = new PathCounters(config.trafficsets.length);
  new Forwarder(new PathState(config), counters, sockets, 4).process(batch);
  return {
    verdict: VERDICTS[batch.verdict[0]].name,
    action: batch.action[0],
    nextHop: batch.nextHop[0],
    bytes: Uint8Array.from(batch.packet(0)),
    hash: batch.flowHash[0],
    counters,
  };
}

/** The 4-tuple's hash, computed from the bytes in the test's own way. */
function hashOf(source: string, destination: string, sourcePort: number, destinationPort: number): number {
  const key = new FlowKey();
  const ports = Buffer.from([sourcePort >> 8, sourcePort & 255, destinationPort >> 8, destinationPort & 255]);
  const message = Buffer.concat([addressBytes(source), addressBytes(destination), ports]);
  key.bytes.set(message);
  return halfSipHash24(key.words, message.length, 0x03020100, 0x07060504) >>> 0;
}

describe('forwarder', () => {
  it.each([4, 6] as const)('wraps an IPv%i packet towards the first hop, naming the second', (version) => {
    const inner = makePacket({ version });
    const result = forward(pathConfig([{ ...WEB, table: uniformTable(OTHER, THIRD) }]), inner);
    expect(result.verdict).toBe('forward');
    expect(result.nextHop).toBe(OTHER);
    const expected = wrapPacket(inner, { source: '10.0.1.1', destination: '10.0.2.1', hops: ['10.0.3.1'] });
    const client = version === 4 ? CLIENT4 : CLIENT6;
    const hash = hashOf(client, version === 4 ? VIP4 : VIP6, 40_000, 80);
    expect(result.hash).toBe(hash);
    new DataView(expected.buffer).setUint16(20, 0x8000 | (hash >>> 17));
    expect(Buffer.from(result.bytes).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
  });

  it('writes an empty hop list where the bucket has no second hop', () => {
    const inner = makePacket();
    const result = forward(pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]), inner);
    expect(result.verdict).toBe('forward');
    expect(result.bytes).toHaveLength(inner.length + 36);
  });

  it('writes no second hop for request-response, whatever the table says', () => {
    const inner = makePacket({ protocol: 'udp' });
    const result = forward(pathConfig([{ ...DNS, table: uniformTable(OTHER, THIRD) }]), inner);
    expect(result.bytes).toHaveLength(inner.length + 36);
  });

  it('picks the bucket by the low bits of the keyed hash', () => {
    const table = uniformTable(OTHER, 0);
    const bucket = hashOf(CLIENT4, VIP4, 40_000, 80) & 15;
    table.slots[2 * bucket] = THIRD;
    expect(forward(pathConfig([{ ...WEB, table }]), makePacket()).nextHop).toBe(THIRD);
    expect(forward(pathConfig([{ ...WEB, table }]), makePacket({ sourcePort: 40_001 })).nextHop).toBe(
      (hashOf(CLIENT4, VIP4, 40_001, 80) & 15) === bucket ? THIRD : OTHER,
    );
  });

  it('cuts padding behind the packet', () => {
    const inner = makePacket();
    const padded = new Uint8Array(inner.length + 6);
    padded.set(inner);
    const result = forward(pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]), padded);
    expect(result.bytes).toHaveLength(inner.length + 36);
  });

  describe('when this server is the first hop', () => {
    const config = pathConfig([{ ...WEB, table: uniformTable(SELF, OTHER) }]);
    const ack = makePacket({ flags: TCP_ACK });

    it('takes a SYN in, and tells the sockets of it', () => {
      const sockets = new FakeSockets();
      const syn = makePacket({ flags: TCP_SYN, sequence: 77 });
      const result = forward(config, syn, sockets);
      expect(result.verdict).toBe('accept_syn');
      expect(result.bytes).toEqual(syn);
      expect(sockets.syns).toEqual(['tcp c6336407:40000 > c000020a:80 77']);
      expect(sockets.asked).toEqual([]);
    });

    it('takes in what has a socket', () => {
      const sockets = new FakeSockets(() => SocketState.Established);
      const result = forward(config, ack, sockets);
      expect(result.verdict).toBe('accept_established');
      expect(result.bytes).toEqual(ack);
      expect(sockets.asked).toEqual(['tcp c6336407:40000 > c000020a:80']);
    });

    it('sends what has none to the second hop, as if it had come over the wire', () => {
      const result = forward(config, ack);
      expect(result.verdict).toBe('redirect');
      expect(result.nextHop).toBe(OTHER);
      const expected = wrapPacket(ack, {
        source: '10.0.1.1',
        destination: '10.0.2.1',
        hops: ['10.0.2.1'],
        nextHop: 1,
      });
      expected.set(result.bytes.subarray(20, 22), 20);
      expect(result.bytes).toEqual(expected);
    });

    it('asks nothing where there is no second hop', () => {
      const sockets = new FakeSockets();
      const lone = pathConfig([{ ...WEB, table: uniformTable(SELF, 0) }]);
      expect(forward(lone, ack, sockets).verdict).toBe('accept_last_hop');
      expect(sockets.asked).toEqual([]);
    });

    it('never sends to itself', () => {
      const twice = pathConfig([{ ...WEB, table: uniformTable(SELF, SELF) }]);
      expect(forward(twice, ack).verdict).toBe('accept_self');
    });

    it('drops rather than guesses when the lookup fails', () => {
      const sockets = new FakeSockets(() => SocketState.Failed);
      expect(forward(config, ack, sockets).verdict).toBe('drop_lookup_failed');
    });

    it('keeps the order of a batch whose packets wait for lookups', () => {
      const sockets = new FakeSockets((tuple) =>
        tuple.includes(':40002 ') ? SocketState.Established : SocketState.None,
      );
      const batch = new PacketBatch({ capacity: 4 });
      for (const sourcePort of [40_001, 40_002, 40_003])
        batch.push(makePacket({ flags: TCP_ACK, sourcePort }));
      batch.push(makePacket());
      new Forwarder(new PathState(config), new PathCounters(1), sockets, 4).process(batch);
      expect([...batch.verdict].map((code) => VERDICTS[code].name)).toEqual([
        'redirect',
        'accept_established',
        'redirect',
        'accept_syn',
      ]);
    });
  });

  describe('SYN cookies', () => {
    const config = pathConfig([{ ...WEB, table: uniformTable(SELF, OTHER) }]);
    const listening = (cookie: boolean) =>
      new FakeSockets(
        () => SocketState.Listening,
        (_tuple, sequence) => cookie && sequence === 1001,
      );

    it('takes in the bare ACK that completes a handshake of this listener', () => {
      const ack = makePacket({ flags: TCP_ACK, sequence: 1001 });
      expect(forward(config, ack, listening(true)).verdict).toBe('accept_syn_cookie');
    });

    it('sends on an ACK that this listener did not ask for', () => {
      expect(forward(config, makePacket({ flags: TCP_ACK, sequence: 1001 }), listening(false)).verdict).toBe(
        'redirect',
      );
      expect(forward(config, makePacket({ flags: TCP_ACK, sequence: 1002 }), listening(true)).verdict).toBe(
        'redirect',
      );
    });

    it('takes in what follows that ACK in the same batch, and of no other flow', () => {
      const batch = new PacketBatch({ capacity: 4 });
      batch.push(makePacket({ flags: TCP_ACK, sequence: 1001 }));
      batch.push(makePacket({ flags: TCP_ACK, sequence: 1001, payload: 1400 }));
      batch.push(makePacket({ flags: TCP_ACK, sequence: 2401 }));
      batch.push(makePacket({ flags: TCP_ACK, sequence: 2401, sourcePort: 40_001 }));
      new Forwarder(new PathState(config), new PathCounters(1), listening(true), 4).process(batch);
      expect([...batch.verdict].map((code) => VERDICTS[code].name)).toEqual([
        'accept_syn_cookie',
        'accept_syn_cookie',
        'accept_syn_cookie',
        'redirect',
      ]);
    });

    it.each([0x11, 0x14, 0x04])('sends on flags 0x%s, which complete no handshake', (flags) => {
      expect(forward(config, makePacket({ flags, sequence: 1001 }), listening(true)).verdict).toBe(
        'redirect',
      );
    });
  });

  describe('ICMP errors', () => {
    it.each([4, 6] as const)('go where the quoted IPv%i flow goes', (version) => {
      const [vip, client] = version === 4 ? [VIP4, CLIENT4] : [VIP6, CLIENT6];
      const reply = makePacket({
        version,
        source: vip,
        destination: client,
        sourcePort: 80,
        destinationPort: 40_000,
        flags: TCP_ACK,
        payload: 1000,
      });
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, THIRD) }]);
      const result = forward(config, makeTooBig(reply, 1300));
      expect(result.verdict).toBe('forward_icmp_error');
      expect(result.hash).toBe(hashOf(client, vip, 40_000, 80));
    });

    it('may quote no more than the header and 8 bytes', () => {
      const reply = makePacket({
        source: VIP4,
        destination: CLIENT4,
        sourcePort: 80,
        destinationPort: 40_000,
      });
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]);
      expect(forward(config, makeTooBig(reply, 1300, 8)).verdict).toBe('forward_icmp_error');
      expect(forward(config, makeTooBig(reply, 1300, 4)).verdict).toBe('forward_icmp_error');
      expect(forward(config, makeTooBig(reply, 1300, 3)).verdict).toBe('drop_malformed_icmp');
    });

    it('are taken in here when the flow lives here', () => {
      const reply = makePacket({
        source: VIP4,
        destination: CLIENT4,
        sourcePort: 80,
        destinationPort: 40_000,
      });
      const config = pathConfig([{ ...WEB, table: uniformTable(SELF, OTHER) }]);
      const here = new FakeSockets(() => SocketState.Established);
      expect(forward(config, makeTooBig(reply, 1300), here).verdict).toBe('accept_icmp_error');
      expect(here.asked).toEqual(['tcp c6336407:40000 > c000020a:80']);
      expect(forward(config, makeTooBig(reply, 1300)).verdict).toBe('redirect');
      const listener = new FakeSockets(
        () => SocketState.Listening,
        () => true,
      );
      expect(forward(config, makeTooBig(reply, 1300), listener).verdict).toBe('redirect');
    });

    it('that quote another address are dropped', () => {
      const reply = makePacket({
        source: '192.0.2.99',
        destination: CLIENT4,
        sourcePort: 80,
        destinationPort: 40_000,
      });
      const error = makeTooBig(reply, 1300);
      error.set(addressBytes(VIP4), 16);
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]);
      expect(forward(config, error).verdict).toBe('drop_icmp_mismatch');
    });
  });

  describe('passes', () => {
    const config = pathConfig([{ ...WEB, ports: [{ first: 80, last: 80 }], table: uniformTable(OTHER, 0) }]);
    it('what is for no VIP', () => {
      const packet = makePacket({ destination: '203.0.113.5' });
      const result = forward(config, packet);
      expect(result.verdict).toBe('pass_not_vip');
      expect(result.action).toBe(Action.Deliver);
      expect(result.bytes).toEqual(packet);
    });
    it('what no trafficset serves', () => {
      expect(forward(config, makePacket({ destinationPort: 81 })).verdict).toBe('pass_no_service');
      expect(forward(config, makePacket({ protocol: 'udp' })).verdict).toBe('pass_no_service');
    });
    it('echo requests', () => {
      const packet = makePacket();
      packet[9] = 1;
      packet[20] = 8;
      expect(forward(config, packet).verdict).toBe('pass_icmp');
    });
  });

  describe('drops', () => {
    it('packets of a trafficset without a table', () => {
      expect(forward(pathConfig([WEB]), makePacket()).verdict).toBe('drop_no_table');
    });
    it('packets of an empty bucket', () => {
      const table = uniformTable(OTHER, 0);
      table.slots.fill(0);
      expect(forward(pathConfig([{ ...WEB, table }]), makePacket()).verdict).toBe('drop_empty_bucket');
    });
    it('what the underlay cannot carry', () => {
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, THIRD) }], { underlayMtu: 1500 });
      expect(forward(config, makePacket({ payload: 1420 })).verdict).toBe('forward');
      const result = forward(config, makePacket({ payload: 1421 }));
      expect(result.verdict).toBe('drop_too_big');
      expect(result.action).toBe(Action.Drop);
    });
    it.each([
      ['first', 0x2000],
      ['later', 0x0010],
    ])('the %s fragment', (_which, field) => {
      const packet = makePacket();
      new DataView(packet.buffer).setUint16(6, field);
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]);
      expect(forward(config, packet).verdict).toBe('drop_fragment');
    });
    it('fragments only of what it steers', () => {
      const packet = makePacket({ protocol: 'udp' });
      new DataView(packet.buffer).setUint16(6, 0x2000);
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]);
      expect(forward(config, packet).verdict).toBe('pass_no_service');
    });
    it('TCP with an absurd data offset', () => {
      const packet = makePacket();
      packet[32] = 0x40;
      const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, 0) }]);
      expect(forward(config, packet).verdict).toBe('drop_malformed_transport');
    });
  });

  it('counts packets and the bytes that came in, by stage, trafficset and verdict', () => {
    const config = pathConfig([{ ...DNS }, { ...WEB, table: uniformTable(OTHER, THIRD) }]);
    const packet = makePacket();
    const { counters } = forward(config, packet);
    const cells: unknown[] = [];
    counters.forEach((...cell) => {
      cells.push(cell);
    });
    expect(cells).toEqual([[Stage.Forward, 1, Verdict.Forward, 1, packet.length]]);
  });

  it('leaves no byte of the header unwritten', () => {
    const inner = makePacket();
    const config = pathConfig([{ ...WEB, table: uniformTable(OTHER, THIRD) }]);
    const outputs = [0x00, 0xa5].map((fill) => {
      const batch = new PacketBatch({ capacity: 1 });
      batch.bytes.fill(fill);
      batch.push(inner);
      new Forwarder(new PathState(config), new PathCounters(1), new FakeSockets(), 1).process(batch);
      return Buffer.from(batch.packet(0)).toString('hex');
    });
    expect(outputs[0]).toBe(outputs[1]);
  });
});
