import { describe, expect, it } from 'vitest';
import type { RouteAnnouncer } from '../../src/node/routes/announcer.js';
import { birdConfigText, birdShape } from '../../src/node/routes/bird-config.js';
import { RouteKeeper } from '../../src/node/routes/route-keeper.js';
import { type Prefix, parsePrefix } from '../../src/table/address.js';

const prefixes = (...texts: string[]) => texts.map(parsePrefix);

describe('the configuration of BIRD', () => {
  const config = birdShape.parse({ local_as: 65001, neighbor_as: 65000 });
  const session = { address: '10.0.1.1', neighbor: '10.0.1.0' };

  it('has both families over one session, each with its own next hop', () => {
    const text = birdConfigText(config, {
      ...session,
      nextHop6: 'fd00:0:0:1::1',
      prefixes: prefixes('192.0.2.0/24', '2001:db8:100::/64'),
    });
    expect(text).toMatchInlineSnapshot(`
      "# Written by twohop node; changes are lost.
      log stderr { error, fatal, bug, auth, remote };
      router id 10.0.1.1;
      protocol device {}
      protocol static vips4 {
        ipv4;
        route 192.0.2.0/24 blackhole;
      }
      protocol static vips6 {
        ipv6;
        route 2001:db8:100::/64 blackhole;
      }
      protocol bgp fabric {
        local 10.0.1.1 as 65001;
        neighbor 10.0.1.0 as 65000;
        hold time 3;
        keepalive time 1;
        connect delay time 1;
        connect retry time 2;
        error wait time 1, 5;
        ipv4 {
          import none;
          export where source = RTS_STATIC;
          next hop address 10.0.1.1;
        };
        ipv6 {
          import none;
          export where source = RTS_STATIC;
          next hop address fd00:0:0:1::1;
        };
      }
      "
    `);
  });

  it('without routes keeps the session, so that what was announced is withdrawn', () => {
    const text = birdConfigText(config, { ...session, nextHop6: null, prefixes: [] });
    expect(text).not.toContain('route ');
    expect(text).not.toContain('ipv6');
    expect(text).toContain('neighbor 10.0.1.0 as 65000;');
  });
});

/** An announcer that remembers what it was told. */
class Heard implements RouteAnnouncer {
  readonly told: string[] = [];
  readonly drainMs = 0;
  state = 'withdrawn' as const;
  start = () => Promise.resolve();
  stop = () => Promise.resolve();
  announce(some: readonly Prefix[]): Promise<void> {
    this.told.push(some.join(' '));
    return Promise.resolve();
  }
}

describe('the routes of a node', () => {
  function keeper(first: readonly Prefix[] | string) {
    const heard = new Heard();
    const words: string[] = [];
    let wanted = first;
    const routes = new RouteKeeper(
      heard,
      () => wanted,
      (message) => words.push(message),
    );
    const want = (next: readonly Prefix[] | string) => {
      wanted = next;
      return routes.update();
    };
    return { heard, words, routes, want };
  }

  it('are announced while it is well, and withdrawn with the reason while it is not', async () => {
    const { heard, words, routes, want } = keeper('there is no table of web');
    await routes.update();
    expect(heard.told).toEqual([]);
    await want(prefixes('192.0.2.0/24'));
    await want(prefixes('192.0.2.0/24'));
    await want('the server is drained');
    await want(prefixes('192.0.2.0/24'));
    expect(heard.told).toEqual(['192.0.2.0/24', '', '192.0.2.0/24']);
    expect(words).toEqual([
      'routes announced',
      'routes withdrawn: the server is drained',
      'routes announced again, after: the server is drained',
    ]);
  });

  it('are replaced by others of the same addresses without a gap', async () => {
    const { heard, want } = keeper('');
    await want(prefixes('10.1.0.0/25', '192.0.2.0/24'));
    await want(prefixes('10.1.0.0/24', '192.0.2.0/24'));
    expect(heard.told).toEqual([
      '10.1.0.0/25 192.0.2.0/24',
      '10.1.0.0/25 10.1.0.0/24 192.0.2.0/24',
      '10.1.0.0/24 192.0.2.0/24',
    ]);
  });

  it('that lead to no VIP any more go before anything else is changed', async () => {
    const { heard, routes, want } = keeper('');
    await want(prefixes('10.1.0.0/24', '192.0.2.0/24'));
    await routes.narrow(prefixes('10.0.0.0/8', '203.0.113.0/24'));
    expect(heard.told.at(-1)).toBe('10.1.0.0/24');
    await routes.narrow(prefixes('10.0.0.0/8'));
    expect(heard.told).toHaveLength(2);
  });

  it('once withdrawn for good stay withdrawn', async () => {
    const { heard, routes, want } = keeper('');
    await want(prefixes('192.0.2.0/24'));
    await routes.withdraw('the node stops');
    await want(prefixes('192.0.2.0/24'));
    expect(heard.told).toEqual(['192.0.2.0/24', '']);
  });
});
