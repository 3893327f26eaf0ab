import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { REDIRECTOR_PROFILES, type RedirectorProfile } from '../../../src/path/profile/redirector-profile.js';

/** The table in native-notes/profiles.md says what the profiles say. */

const notes = readFileSync(new URL('../../../native-notes/profiles.md', import.meta.url), 'utf8');
/** Rows like: | `field` | about | twohop | cloudflare | github | */
const rows = [...notes.matchAll(/^\| `(\w+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
  ([, field, ...values]) => ({ field, values }),
);

function written(value: RedirectorProfile[keyof RedirectorProfile]): string {
  if (typeof value !== 'object') return String(value);
  return value.length === 0 ? 'none' : value.join(', ');
}

describe('native-notes/profiles.md', () => {
  it('has every field, in order, with its value in every profile', () => {
    const profiles = Object.values(REDIRECTOR_PROFILES);
    const fields = Object.keys(REDIRECTOR_PROFILES.twohop) as (keyof RedirectorProfile)[];
    expect(rows).toEqual(
      fields.map((field) => ({ field, values: profiles.map((profile) => written(profile[field])) })),
    );
  });

  it('says of every field in which ours differs why', () => {
    const { twohop, ...others } = REDIRECTOR_PROFILES;
    const why = notes.slice(notes.indexOf('## Where ours differs'));
    const unexplained = (Object.keys(twohop) as (keyof RedirectorProfile)[]).filter(
      (field) =>
        Object.values(others).some((other) => written(other[field]) !== written(twohop[field])) &&
        !why.includes(`\`${field}\``),
    );
    expect(unexplained).toEqual([]);
  });
});
