import { expect, it } from 'vitest';
import { runEnclosed } from '../enclosed.js';
import { describePrivileged } from '../privileged.js';

/** Whole nodes on real kernels: every process, socket and device is real, in namespaces of the test's own. */

interface Life {
  readonly up: unknown;
  readonly precedence: unknown;
  readonly refused: unknown;
  readonly newTable: unknown;
  readonly reloaded: unknown;
  readonly countedBeforeReload: boolean;
  readonly tableMoved: unknown;
  readonly afterBadReload: unknown;
  readonly workerDied?: unknown;
  readonly recovered?: unknown;
  readonly crashed: unknown;
  readonly restarted: unknown;
  readonly exit: number;
  readonly left: readonly string[];
}

function life(...args: string[]): Life {
  return runEnclosed<Life>(new URL('./fixtures/life.mjs', import.meta.url), ...args);
}

describePrivileged('a node', ['root', 'tun', 'namespaces', 'ip', 'tc', 'curl', 'nft'], () => {
  it.each([
    ['tc', 'mmsg', '1'],
    ['tc', 'mmsg', '2'],
    ['tc', 'raw-socket', '1'],
    ['policy', 'mmsg', '1'],
  ])('lives and fails closed: steering by %s, sender %s, workers %s', { timeout: 120_000 }, (...args) => {
    const seen = life(...args);
    expect(seen.up).toEqual(['s1', 's1']);
    expect(seen.precedence).toEqual([args[1] === 'raw-socket' ? 0 : 5, 0]);
    expect(seen.refused).toEqual([
      ['empty', 's1', 10],
      ['truncated', 's1', 10],
      ['older-version', 's1', 10],
    ]);
    expect(seen.newTable).toBe('s2');
    expect(seen.reloaded).toEqual(['s2', 's1']);
    expect(seen.countedBeforeReload).toBe(true);
    expect(seen.tableMoved).toEqual(['s1', 200]);
    expect(seen.afterBadReload).toBe('s2');
    expect(seen.crashed).toBeNull();
    expect(seen.restarted).toEqual(['s1', 's1']);
    expect(seen.workerDied).toEqual([1, null]);
    expect(seen.recovered).toBe('s1');
    expect(seen.exit).toBe(0);
    expect(seen.left).toEqual([]);
  });

  it('fails open by policy routing: the kernel delivers while the node is gone', { timeout: 120_000 }, () => {
    const seen = life('open');
    expect(seen.up).toEqual(['s1', 's1']);
    expect(seen.crashed).toBe('s1');
    expect(seen.restarted).toEqual(['s1', 's1']);
    expect(seen.left).toEqual([]);
  });

  it('keeps SYN-cookie handshakes and older connections apart', { timeout: 120_000 }, () => {
    const seen = runEnclosed<{
      answers: unknown[];
      cookies: number;
      oldDownload: number;
      redirects: number;
    }>(new URL('./fixtures/syn-cookies.mjs', import.meta.url));
    expect(seen.answers).toEqual(Array(12).fill('s1'));
    expect(seen.cookies).toBeGreaterThanOrEqual(12);
    expect(seen.oldDownload).toBe(600_000);
    expect(seen.redirects).toBeGreaterThan(0);
  });

  it.each(['tc', 'policy'])(
    'lets a bounded number of SYNs in, and all packets of connections: steering by %s',
    { timeout: 120_000 },
    (steering) => {
      const seen = runEnclosed<unknown>(new URL('./fixtures/syn-budget.mjs', import.meta.url), steering);
      const flooded = { answers: Array(4).fill('s1'), download: 400_000 };
      expect(seen).toEqual({ quiet: ['s1', 0], four: flooded, six: flooded, exit: 0, left: [] });
    },
  );

  it('switches roles for UDP flows, and has one hop for request-response', { timeout: 120_000 }, () => {
    const seen = runEnclosed<Record<string, unknown> & { redirects: number }>(
      new URL('./fixtures/udp.mjs', import.meta.url),
    );
    const ids = (name: string) => Array.from({ length: 8 }, (_, i) => `${name}${i}`);
    expect(seen.before).toEqual(ids('old').map((id) => `s1 new ${id}`));
    expect(seen.established).toEqual(ids('old').map((id) => `s1 flow ${id}`));
    expect(seen.kept).toEqual(ids('old').map((id) => `s1 flow ${id}`));
    expect(seen.moved).toEqual(ids('new').map((id) => `s2 new ${id}`));
    expect(seen.stayed).toEqual(ids('new').map((id) => `s2 flow ${id}`));
    expect(seen.answers).toEqual(['s1 answer q1', 's1 answer q2', 's1 answer q3']);
    expect(seen.redirects).toBeGreaterThan(0);
  });

  it("keeps sessions where their service has them, by a user's own dissector", { timeout: 120_000 }, () => {
    const { counted, ...seen } = runEnclosed<Record<string, unknown> & { counted: number[] }>(
      new URL('./fixtures/sessions.mjs', import.meta.url),
    );
    // More where an answer took its time, and the client asked again.
    expect(Math.min(...counted)).toBeGreaterThanOrEqual(4);
    expect(seen).toEqual({
      silent: -1,
      before: Array(4).fill('s1'),
      kept: Array(4).fill('s1'),
      moved: Array(4).fill('s2'),
      afterRefusal: Array(4).fill('s1'),
      log: true,
    });
  });
});
