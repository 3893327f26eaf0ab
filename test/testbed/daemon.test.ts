import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Daemon } from '../../src/testbed/daemon.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-daemon-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Ends at once: nobody can enter its namespace. */
const startInNowhere = (talks: boolean) =>
  Daemon.start({
    name: 'clock of s1',
    namespace: 'twohop-no-such-namespace',
    command: ['sleep', '60'],
    log: join(directory, 'log'),
    talks,
  });

describe('waiting for a daemon that ends', () => {
  const ended = /^clock of s1 ended \(exit code 1\):\nnsenter: .*twohop-no-such-namespace/;

  it('tells its last words, whatever it was to do', async () => {
    await expect(startInNowhere(false).until('to answer', () => false)).rejects.toThrow(ended);
  });

  it('tells its last words, when it was to say that it is ready', async () => {
    await expect(startInNowhere(true).ready()).rejects.toThrow(ended);
  });

  it('is over when one of several ends', async () => {
    const daemons = [startInNowhere(false), startInNowhere(false)];
    await expect(Daemon.allUntil(daemons, 'all clocks', () => false)).rejects.toThrow(ended);
  });
});
