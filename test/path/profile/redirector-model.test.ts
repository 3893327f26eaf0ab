import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProfiledRedirector, type RedirectOutcome } from '../../../src/path/profile/profiled-redirector.js';
import { REDIRECT_REASONS } from '../../../src/path/profile/redirect-reason.js';
import {
  cloudflare,
  github,
  REDIRECTOR_PROFILES,
  type RedirectorProfile,
  twohop,
} from '../../../src/path/profile/redirector-profile.js';
import { bareSite, siteOf } from '../../../src/path/profile/redirector-site.js';
import { SocketState } from '../../../src/path/sockets.js';
import { PathState } from '../../../src/path/state.js';
import { TCP_ACK } from '../../../src/wire/tcp.js';
import { makePacket, wrapPacket } from '../packets.js';
import { FakeSockets, pathConfig, SELF } from '../support.js';
import { wrappedPacket } from './wrapped.js';

/** What holds for the model under any profile, published or not. */

const FIELDS = Object.keys(twohop) as (keyof RedirectorProfile)[];
const site = siteOf(
  new PathState(
    pathConfig([
      { name: 'web', kind: 'tcp', vips: ['192.0.2.0/24', '2001:db8:100::/64'] },
      { name: 'game', kind: 'udp-flow', vips: ['192.0.2.0/25'], ports: [{ first: 7000, last: 7999 }] },
      { name: 'dns', kind: 'request-response', vips: ['192.0.2.0/25'], ports: [{ first: 53, last: 53 }] },
    ]),
  ),
);

/** Every field with the value that one of the profiles has for it. */
const anyProfile: fc.Arbitrary<RedirectorProfile> = fc
  .array(fc.constantFrom(twohop, cloudflare, github), { minLength: FIELDS.length, maxLength: FIELDS.length })
  .map((from) => ({
    ...twohop,
    ...Object.fromEntries(FIELDS.map((field, index) => [field, from[index][field]])),
  }));

function run(
  profile: RedirectorProfile,
  packet: Uint8Array,
  socket: SocketState,
  cookie = true,
): RedirectOutcome {
  const sockets = new FakeSockets(
    () => socket,
    () => cookie,
  );
  return new ProfiledRedirector(profile, site, sockets).process(packet);
}

/** All that can be seen of a packet from outside. */
function endOf({ reason, bytes, events }: RedirectOutcome): string {
  return `${reason} ${Buffer.from(bytes).toString('hex')} ${events.join()}`;
}

/** `What` begins a sentence, `because` goes on with it; neither shows what should not be seen. */
function isSentence(what: string, because: string): boolean {
  return (
    /^[A-Z].*[^.]$/.test(what) &&
    /^\S.*[^.]$/.test(because) &&
    !/undefined|NaN|null|object/.test(what + because)
  );
}

describe('the model of the redirector', () => {
  it('gives any packet an end and an account of it, under any profile', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        anyProfile,
        fc.oneof(wrappedPacket, fc.uint8Array({ minLength: 1, maxLength: 120 })),
        fc.constantFrom(...Object.values(SocketState)),
        (profile, packet, socket) => {
          const before = Uint8Array.from(packet);
          const outcome = run(profile, packet, socket);
          expect(Buffer.compare(packet, before)).toBe(0);
          expect(outcome.action).toBe(REDIRECT_REASONS[outcome.reason].action);
          expect(outcome.bytes.length === 0).toBe(outcome.action === 'drop');
          expect(outcome.steps.length).toBeGreaterThan(0);
          const odd = outcome.steps.filter(({ what, because }) => !isSentence(what, because));
          expect(odd).toEqual([]);
        },
      ),
      { numRuns: 8_000, seed: 20_240_602 },
    );
  });

  it('tells what it looked at in plain sentences', () => {
    const ack = makePacket({ flags: TCP_ACK });
    const { steps } = run(twohop, wrapPacket(ack, { hops: ['10.0.3.1'] }), SocketState.None);
    expect(steps.map(({ what, because }) => `${what}: ${because}`)).toEqual([
      'The packet is for this redirector: UDP to 10.0.1.1 port 6080',
      'The next hop is 10.0.3.1: it is number 0 of 1 in the hop list',
      'No socket belongs to the flow: there is none for TCP 198.51.100.7:40000 to 192.0.2.10:80',
      'The packet goes on to the next hop: no socket here knows its flow',
      'The packet goes to 10.0.3.1: source and destination are new, the next hop is number 1',
    ]);
  });

  it('counts in the order in which things are seen', () => {
    const packet = wrapPacket(makePacket(), { hops: ['10.0.3.1'] });
    expect(run(cloudflare, packet, SocketState.None).events).toEqual(['l3 ipv4', 'l4 tcp', 'accepted syn']);
  });

  it('drops what would loop for ever, and what would not fit, when it changes over to GRE', () => {
    const packet = wrapPacket(makePacket({ flags: TCP_ACK }), { hops: ['10.0.3.1'] });
    packet[32] = 0x04;
    const sockets = new FakeSockets();
    const small = new ProfiledRedirector(cloudflare, bareSite(SELF, 6080, 67), sockets).process(packet);
    expect(small).toMatchObject({ action: 'drop', reason: 'drop_too_big' });
    const fits = new ProfiledRedirector(cloudflare, bareSite(SELF, 6080, 68), sockets).process(packet);
    expect(fits).toMatchObject({ action: 'redirect-gre', reason: 'redirect_gre' });
    expect(fits.bytes).toHaveLength(68);
    packet[40 + 8] = 0;
    expect(run(cloudflare, packet, SocketState.None).reason).toBe('drop_redirect_loop');
  });
});

describe('profiles', () => {
  it('have the same fields, of plain data', () => {
    for (const profile of Object.values(REDIRECTOR_PROFILES)) {
      expect(Object.keys(profile)).toEqual(FIELDS);
      expect(JSON.parse(JSON.stringify(profile))).toEqual(profile);
    }
  });

  it('differ in every field: what is the same for all is no field', () => {
    const same = FIELDS.filter(
      (field) =>
        new Set(Object.values(REDIRECTOR_PROFILES).map((profile) => String(profile[field]))).size === 1,
    );
    expect(same).toEqual([]);
  });

  /** What another field of the same profile leaves nothing to decide for. */
  const MOOT: Readonly<Record<keyof typeof REDIRECTOR_PROFILES, readonly (keyof RedirectorProfile)[]>> = {
    twohop: [],
    // The inner packet is not read at the last hop.
    cloudflare: ['socketsAtLastHop'],
    // There is no extension header to step over.
    github: ['mostExtensionHeaders'],
  };

  it.each(Object.keys(MOOT) as (keyof typeof MOOT)[])(
    '%s: each field decides something',
    { timeout: 60_000 },
    (name) => {
      const profile = REDIRECTOR_PROFILES[name];
      const corpus = fc.sample(wrappedPacket, { numRuns: 6_000, seed: 7 }).map((packet, index) => {
        const socket = Object.values(SocketState)[index % 3];
        return { packet, socket, before: endOf(run(profile, packet, socket)) };
      });
      const decidesNothing = FIELDS.filter((field) =>
        Object.values(REDIRECTOR_PROFILES).every((other) => {
          const flipped = { ...profile, [field]: other[field] };
          return corpus.every(({ packet, socket, before }) => endOf(run(flipped, packet, socket)) === before);
        }),
      );
      expect(decidesNothing).toEqual(MOOT[name]);
    },
  );
});
