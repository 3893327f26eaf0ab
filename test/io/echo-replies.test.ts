import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { EchoReplies, type EchoReply } from '../../src/io/echo-replies.js';
import { RawSender } from '../../src/io/raw.js';
import { Action } from '../../src/path/verdict.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { encodeIcmpEchoInto, ICMP_ECHO_REPLY } from '../../src/wire/icmp.js';
import { IP_PROTOCOL_ICMP, IP_PROTOCOL_UDP } from '../../src/wire/ip.js';
import { encodeIpv4Into, IPV4_DF, IPV4_MF } from '../../src/wire/ipv4.js';
import { describePrivileged } from '../privileged.js';
import { batchOf, ipv4 } from './packets.js';
import { enterPrivateNetwork, ip } from './private-network.js';

const SELF = ipv4('10.0.1.1');
/** An address of this machine, too, as a VIP is of every server. */
const VIP = ipv4('192.0.2.1');
const IDENTIFIER = 0x1234;

interface Fields {
  readonly type?: number;
  readonly protocol?: number;
  readonly identifier?: number;
  readonly sequence?: number;
  readonly flags?: number;
  readonly payload?: string;
  readonly spoiled?: boolean;
}

function reply(fields: Fields = {}): Buffer {
  const payload = Buffer.from(fields.payload ?? 'token');
  const length = 28 + payload.length;
  const bytes = Buffer.alloc(length);
  const data = new DataView(bytes.buffer, bytes.byteOffset, length);
  const { protocol = IP_PROTOCOL_ICMP, type = ICMP_ECHO_REPLY, flags = IPV4_DF, sequence = 1 } = fields;
  encodeIpv4Into(data, 0, length, protocol, VIP, SELF, 64, flags);
  encodeIcmpEchoInto(data, 20, type, fields.identifier ?? IDENTIFIER, sequence, payload);
  if (fields.spoiled === true) bytes[length - 1] ^= 1;
  return bytes;
}

describePrivileged('echo replies', ['root', 'namespaces', 'ip'], () => {
  let sender: RawSender;
  let replies: EchoReplies;
  let seen: EchoReply[];
  let waited: boolean;

  beforeAll(() => {
    enterPrivateNetwork();
    ip('addr add 10.0.1.1/32 dev lo');
    ip('addr add 192.0.2.1/32 dev lo');
  });
  beforeEach(() => {
    seen = [];
    waited = true;
    sender = RawSender.open();
    replies = new EchoReplies(
      IDENTIFIER,
      () => waited,
      (one) => seen.push(one),
    );
    replies.wake();
  });
  afterEach(async () => {
    sender.close();
    await replies.close();
  });

  /** Sends packets, and after them one that is known to come. */
  async function receive(...packets: Buffer[]): Promise<EchoReply[]> {
    const batch = batchOf([...packets, reply({ payload: 'last' })], Action.Send, SELF);
    expect(sender.send(batch, Action.Send)).toBe(packets.length + 1);
    const isLast = ({ payload }: EchoReply) => Buffer.from(payload).toString() === 'last';
    await waitUntil('the last reply', async () => seen.some(isLast));
    return seen.filter((one) => !isLast(one));
  }

  it('come from an address of our own, as those from a VIP do', async () => {
    expect(await receive(reply({ sequence: 7 }), reply({ sequence: 0xffff, payload: '' }))).toEqual([
      { source: VIP, destination: SELF, sequence: 7, payload: Uint8Array.from(Buffer.from('token')) },
      { source: VIP, destination: SELF, sequence: 0xffff, payload: new Uint8Array() },
    ]);
  });

  it('are nothing else: no other identifier, type, protocol, no fragment, nothing spoiled or too long', async () => {
    const others = [
      reply({ identifier: IDENTIFIER + 1 }),
      reply({ type: 3 }),
      reply({ type: 14 }),
      reply({ protocol: IP_PROTOCOL_UDP }),
      reply({ flags: IPV4_MF }),
      reply({ flags: 1 }),
      reply({ spoiled: true }),
      reply({ payload: 'x'.repeat(1000) }),
    ];
    expect(await receive(...others)).toEqual([]);
  });

  it('come when somebody waits again after nobody did', async () => {
    await receive();
    waited = false;
    await waitUntil('the last wait to end', async () => replies.isIdle);
    seen = [];
    waited = true;
    replies.wake();
    expect(await receive(reply({ sequence: 3 }))).toHaveLength(1);
  });

  it('may be many at once', async () => {
    const many = Array.from({ length: 50 }, (_, sequence) => reply({ sequence }));
    expect((await receive(...many)).map(({ sequence }) => sequence)).toEqual(many.map((_, index) => index));
  });
});
