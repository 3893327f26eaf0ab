import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ABSENT, SocketTable } from '../../src/io/socket-table.js';
import { SocketState } from '../../src/path/sockets.js';
import { flow, queriesFor } from './queries.js';

const FLOWS = 6;
const FAR = 1 << 30;

const number = fc.nat({ max: FLOWS - 1 });
const step = fc.oneof(
  fc.record({ do: fc.constant('store' as const), number, mark: fc.nat(1000), life: fc.nat(1000) }),
  fc.record({ do: fc.constant('name' as const), number, cookie: fc.nat(15) }),
  fc.record({ do: fc.constant('forget' as const), cookie: fc.nat(15) }),
);

/**
 * A tuple never has both of its places: an answer that was voided or replaced would otherwise come to light again when
 * the other place is taken by another flow.
 */
it('has no second answer for a tuple, whatever was stored, voided and overwritten', () => {
  fc.assert(
    fc.property(
      // Four entries: the flows fight for them.
      fc.array(fc.nat(3), { minLength: FLOWS, maxLength: FLOWS }),
      fc.array(step, { maxLength: 60 }),
      (hashes, steps) => {
        const table = new SocketTable(4, { evictions: 0 });
        const queries = Array.from({ length: FLOWS }, (_, i) => queriesFor([flow(i)]));
        const find = (i: number, now = 0) => table.find(queries[i], 0, hashes[i], now);
        /** The last thing stored of each flow; undefined when it was voided. */
        const last = new Map<number, { at: number; mark: number; cookie?: number }>();
        for (const action of steps) {
          if (action.do === 'store') {
            const { mark, number: i } = action;
            const at = table.store(queries[i], 0, hashes[i], SocketState.Established, mark, 1 + action.life);
            last.set(i, { at, mark });
          } else if (action.do === 'name') {
            const at = find(action.number);
            if (at === ABSENT) continue;
            table.name(at, action.cookie, 0);
            last.set(action.number, { at, mark: table.mark(at), cookie: action.cookie });
          } else {
            table.forget(action.cookie, 0);
            for (const [i, { cookie }] of last)
              if (cookie === action.cookie && find(i) === ABSENT) last.delete(i);
          }
          for (let i = 0; i < FLOWS; i++) {
            const at = find(i);
            expect(find(i, FAR)).toBe(ABSENT);
            // What is found is what was stored last, in the place it was stored in: never an older answer elsewhere.
            if (at !== ABSENT) expect({ at, mark: table.mark(at) }).toMatchObject(pick(last.get(i)));
          }
        }
      },
    ),
    { numRuns: 2000 },
  );
});

function pick(stored: { at: number; mark: number } | undefined): { at: number; mark: number } {
  if (stored === undefined) return { at: ABSENT, mark: ABSENT };
  return { at: stored.at, mark: stored.mark };
}
