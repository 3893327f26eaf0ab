import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOUR_TUPLE_SPEC } from '../../src/flow/dissector.js';
import { SessionFollowers } from '../../src/node/session-followers.js';
import type { TrafficsetConfig } from '../../src/table/trafficset.js';
import { waitUntil } from '../../src/testbed/wait.js';

let directory: string;
let followers: SessionFollowers;
let published: string[];
let refused: string[];
let taken: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-sessions-'));
  published = [];
  refused = [];
  taken = -1;
  followers = new SessionFollowers('s1', () => taken, {
    sessions: (trafficset) => published.push(`${trafficset} ${followers.current(trafficset)?.size}`),
    refused: (_trafficset, reason) => refused.push(reason),
  });
});
afterEach(() => {
  followers.close();
  rmSync(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);
const warp = (file: string): TrafficsetConfig => ({
  name: 'warp',
  kind: 'udp-session',
  vips: [],
  ports: [],
  dissector: FOUR_TUPLE_SPEC,
  sessions: path(file),
  table: '',
});
function replace(file: string, text: string): void {
  writeFileSync(path(`${file}.new`), text);
  renameSync(path(`${file}.new`), path(file));
}

describe('session files', () => {
  it('are those of this server, and are followed', async () => {
    replace('s1.sessions', '00\n');
    followers.follow([warp('{name}.sessions')]);
    expect(published).toEqual(['warp 1']);
    replace('s1.sessions', '00\n01\n');
    await waitUntil('the new set', () => published.length === 2);
    expect(published[1]).toBe('warp 2');
  });

  it('that say the same again are not published again', async () => {
    replace('a', '00\n');
    followers.follow([warp('a')]);
    replace('a', '00\n');
    followers.follow([warp('a')]);
    replace('a', '00\n01\n');
    await waitUntil('the new set', () => published.includes('warp 2'));
    expect(published).toEqual(['warp 1', 'warp 2']);
  });

  it('that are bad or missing change nothing', async () => {
    replace('a', '00\n');
    followers.follow([warp('a')]);
    replace('a', 'no key\n');
    await waitUntil('the refusal', () => refused.length > 0);
    rmSync(path('a'));
    await waitUntil('the second refusal', () => refused.length > 1);
    expect(refused).toEqual(['bad-session', 'missing']);
    expect(followers.current('warp')?.size).toBe(1);
  });

  it('are kept until the file of another path says something', () => {
    replace('a', '00\n');
    followers.follow([warp('a')]);
    followers.follow([warp('b')]);
    expect(followers.current('warp')?.size).toBe(1);
    replace('b', '00\n01\n02\n');
    followers.follow([warp('b')]);
    expect(followers.current('warp')?.size).toBe(3);
    followers.follow([]);
    expect(followers.current('warp')).toBeNull();
  });

  it('are in use once every worker has taken them', () => {
    replace('a', '00\n');
    followers.follow([warp('a')]);
    const size = () => followers.sizes()[0].sessions;
    expect(size()).toBe(-1);
    followers.told('warp', 7);
    expect(size()).toBe(-1);
    taken = 7;
    expect(size()).toBe(1);
  });

  it('use memory again when no worker reads it any more', () => {
    const memory = () => followers.current('warp')?.words.buffer;
    const set = (number: number) => {
      replace('a', `${number.toString(16).padStart(4, '0')}\n`);
      followers.follow([warp('a')]);
      followers.told('warp', number);
      return memory();
    };
    const first = set(1);
    const second = set(2);
    expect(second).not.toBe(first);
    // The workers have not taken the second set: the first may still be read.
    expect(set(3)).not.toBe(first);
    taken = 3;
    const seen = new Set([first, second, memory()]);
    for (let number = 4; number < 50; number++) {
      taken = number - 1;
      expect(seen.has(set(number))).toBe(true);
    }
    expect(followers.current('warp')?.size).toBe(1);
  });

  it('may lie where there is no directory, or nothing that can be looked at', () => {
    writeFileSync(path('file'), '');
    symlinkSync(path('loop'), path('loop'));
    for (const place of ['file/a', 'loop', 'none/a']) followers.follow([warp(place)]);
    expect(refused).toEqual(['missing', 'missing', 'missing']);
    mkdirSync(path('directory'));
    followers.follow([warp('directory')]);
    expect(refused[3]).toBe('unreadable');
  });
});
