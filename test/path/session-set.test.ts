import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowKey } from '../../src/flow/flow-key.js';
import { buildSessions, MAX_SESSIONS, SessionSet } from '../../src/path/session-set.js';

function has(set: SessionSet, bytes: Uint8Array): boolean {
  const key = new FlowKey();
  // What lies behind a key must not matter.
  key.bytes.fill(0xa5);
  key.bytes.set(bytes);
  return set.has(key, bytes.length);
}

describe('a set of sessions', () => {
  it('has what was put into it, and nothing else', () => {
    const keys = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 64 }), {
      maxLength: 200,
      selector: (key) => Buffer.from(key).toString('hex'),
    });
    fc.assert(
      fc.property(keys, (all) => {
        const half = all.slice(0, all.length >>> 1);
        const set = new SessionSet(buildSessions([...half, ...half]));
        expect(set.size).toBe(half.length);
        for (const [index, key] of all.entries()) expect(has(set, key)).toBe(index < half.length);
      }),
    );
  });

  it('tells keys apart that differ in length only', () => {
    // Each set has a secret of its own: in some, the keys that are not there lie where the one that is would.
    for (let secret = 0; secret < 64; secret++) {
      const set = new SessionSet(buildSessions([Uint8Array.of(1, 2, 3)]));
      expect(has(set, Uint8Array.of(1, 2, 3))).toBe(true);
      expect(has(set, Uint8Array.of(1, 2, 3, 0))).toBe(false);
      expect(has(set, Uint8Array.of(1, 2))).toBe(false);
    }
  });

  it('has nothing when it is empty', () => {
    expect(has(new SessionSet(buildSessions([])), Uint8Array.of(1))).toBe(false);
  });

  it('is bounded', () => {
    const one = Uint8Array.of(1);
    expect(() => buildSessions(new Array(MAX_SESSIONS + 1).fill(one))).toThrow('at most 1048576');
    expect(() => buildSessions([new Uint8Array(65)])).toThrow('65 bytes');
    expect(() => buildSessions([new Uint8Array(0)])).toThrow('0 bytes');
  });
});
