import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FlowSet } from '../../src/io/flow-set.js';
import { flow, queriesFor } from './queries.js';

it('is a set, whatever is added, asked and deleted', () => {
  const anyFlow = fc
    .tuple(fc.nat(200), fc.boolean(), fc.constantFrom('tcp' as const, 'udp' as const))
    .map(([port, isIpv6, protocol]) =>
      flow(port, isIpv6 ? { protocol, local: '2001:db8::1', remote: '2001:db8::2' } : { protocol }),
    );
  const action = fc.tuple(fc.constantFrom('add', 'add', 'add', 'delete', 'clear'), anyFlow);
  fc.assert(
    fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
      const set = new FlowSet();
      const plain = new Set<string>();
      for (const [what, one] of actions) {
        const query = queriesFor([one]);
        const key = JSON.stringify(one);
        if (what === 'add') {
          set.add(query, 0);
          plain.add(key);
        } else if (what === 'delete') {
          expect(set.delete(query, 0)).toBe(plain.delete(key));
        } else if (plain.size > 100) {
          set.clear();
          plain.clear();
        }
        expect(set.size).toBe(plain.size);
        expect(set.has(query, 0)).toBe(plain.has(key));
      }
      for (const [, one] of actions) {
        expect(set.has(queriesFor([one]), 0)).toBe(plain.has(JSON.stringify(one)));
      }
      let count = 0;
      set.each((query) => {
        expect(set.has(query, 0)).toBe(true);
        count++;
      });
      expect(count).toBe(plain.size);
    }),
  );
});
