import { describe, expect, it } from 'vitest';
import { ProfiledRedirector } from '../../../src/path/profile/profiled-redirector.js';
import { cloudflare } from '../../../src/path/profile/redirector-profile.js';
import { siteOf } from '../../../src/path/profile/redirector-site.js';
import { SocketState } from '../../../src/path/sockets.js';
import { PathState } from '../../../src/path/state.js';
import { TCP_ACK } from '../../../src/wire/tcp.js';
import { reply } from '../mutants.js';
import { makePacket, makeTooBig, wrapPacket } from '../packets.js';
import { FakeSockets, pathConfig } from '../support.js';

/** What Cloudflare's redirector does, by its published source, and none of its 2,200 packets shows. */

/** A site that would refuse strangers and what it does not serve, if it were asked. */
const SITE = siteOf(new PathState(pathConfig([{ name: 'web', kind: 'tcp', vips: ['192.0.2.0/24'] }])));
const NEXT = { hops: ['10.0.3.1'] };
const ack = makePacket({ flags: TCP_ACK });

function run(packet: Uint8Array, socket: SocketState = SocketState.None) {
  return new ProfiledRedirector(cloudflare, SITE, new FakeSockets(() => socket)).process(packet);
}

describe("Cloudflare's redirector", () => {
  it('takes packets from anywhere, and sends them anywhere', () => {
    expect(run(wrapPacket(ack, { ...NEXT, source: '192.168.0.1' })).reason).toBe('redirect');
    expect(run(wrapPacket(ack, { hops: ['203.0.113.9'] })).nextHop).toBe(0xcb007109);
  });

  it('reads the ports of a quoted packet although it says that it ends before them', () => {
    const packet = wrapPacket(makeTooBig(reply(4), 1300), NEXT);
    packet.set([0, 21], 40 + 28 + 2);
    expect(run(packet, SocketState.Established).reason).toBe('accept_icmp_error');
  });

  it('drops an error about any IPv6 fragment, be it a whole packet', () => {
    const quoted = reply(6);
    const fragment = Uint8Array.from([
      ...quoted.subarray(0, 40),
      6,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      ...quoted.subarray(40),
    ]);
    fragment.set([0, fragment.length - 40, 44], 4);
    const outcome = run(wrapPacket(makeTooBig(fragment, 1300), NEXT), SocketState.Established);
    expect(outcome).toMatchObject({ reason: 'drop_fragment', events: ['l3 ipv6', 'error fragmented ip'] });
  });

  it('counts nothing where the hop list cannot be used', () => {
    for (const nextHop of [2, 3]) {
      const { reason, events } = run(wrapPacket(ack, { hops: ['10.0.3.1', '10.0.4.1'], nextHop }));
      expect([reason, events]).toEqual(['drop_hop_list', []]);
    }
  });
});
