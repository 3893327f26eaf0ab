import { expect, it } from 'vitest';
import { runEnclosed } from '../enclosed.js';
import { describePrivileged } from '../privileged.js';

/** Checks through the tunnel, of whole nodes on real kernels. */

interface Seen {
  readonly first: readonly string[];
  readonly accepted: number;
  readonly many: readonly string[];
  readonly stranger: readonly string[];
  readonly stopped: readonly string[];
  readonly again: readonly string[];
  readonly killed: readonly string[];
}

describePrivileged('a check through the tunnel', ['root', 'tun', 'namespaces', 'ip', 'tc'], () => {
  it('is answered by the kernel behind a node that works, and by nobody else', { timeout: 120_000 }, () => {
    const seen = runEnclosed<Seen>(new URL('./fixtures/tunnel-echo.mjs', import.meta.url));
    // A number: the latency.
    expect(seen.first).toEqual([
      'number',
      'no answer in 1 s',
      expect.stringMatching(/^CannotCheck: no server can check itself through the tunnel/),
    ]);
    expect(seen.accepted).toBe(1);
    expect(seen.many).toEqual(['number']);
    expect(seen.stranger).toEqual(['no answer in 0.5 s']);
    expect(seen.stopped).toEqual(['no answer in 0.5 s']);
    expect(seen.again).toEqual(['number']);
    expect(seen.killed).toEqual(['no answer in 0.5 s']);
  });
});
