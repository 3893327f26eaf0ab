import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ServerIds } from '../../src/flow/server-ids.js';

it('finds every server ID, and no other', () => {
  const ids = fc.integer({ min: 1, max: 15 }).chain((length) =>
    fc.uniqueArray(fc.uint8Array({ minLength: length, maxLength: length }), {
      maxLength: 300,
      selector: (id) => Buffer.from(id).toString('hex'),
    }),
  );
  fc.assert(
    fc.property(ids, (all) => {
      const half = all.slice(0, all.length >>> 1);
      const servers = new ServerIds(half.map((id, index) => ({ id, dip: 0xc0a80001 + index })));
      for (const [index, id] of all.entries()) {
        expect(servers.find(id)).toBe(index < half.length ? (0xc0a80001 + index) | 0 : 0);
      }
    }),
  );
});
