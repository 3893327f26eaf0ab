import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainCommand } from '../../src/cli/explain.js';
import { writeFleetFiles } from './fleet-files.js';
import { runCommand } from './run.js';

const ACK = 'tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK seq 1001 data "hi"';

let directory: string;
const path = (name: string) => join(directory, name);
const explain = (...words: string[]) =>
  runCommand(explainCommand(), [...words, '--config', path('cluster.yaml')]);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-explain-'));
  writeFleetFiles(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('twohop explain', () => {
  it('answers one question per section', async () => {
    const { code, out } = await explain(ACK, '--against', path('other.table'));
    expect(code).toBe(0);
    expect(out.split('\n').filter((line) => /^\S/.test(line))).toEqual([
      'The packet (packet line)',
      'Which trafficset, and why',
      'The forwarding table',
      'Its way',
      'What each server on the way would do',
      'MTU',
      'With the other table',
    ]);
    expect(out).toContain('flow key    c6336407 c0000201 9c400050 (four-tuple, 12 bytes)');
    expect(out).toContain('first hop   10.0.2.1 (s2)');
    expect(out).toContain('      0000  4500 0052 0000 4000 4011');
    expect(out).toContain('IPv4 Destination Address at 16: 10.0.2.1 becomes 10.0.3.1');
    expect(out).toContain('GUE Next Hop at 34: 0 becomes 1');
    expect(out).toContain('inner 1500 leaves as 1540: needs an underlay of 1540');
    expect(out).toContain('if it lives on s2, it BREAKS: the bucket no longer names that server');
  });

  it('says red that a packet does not fit', async () => {
    const { out } = await explain('tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK data 1430');
    expect(out).toContain('s1, forward: drop_too_big');
    expect(out).toContain("the underlay's MTU is 1500: it does not fit and is dropped");
  });

  it('prints all of it as JSON', async () => {
    const explanation = JSON.parse((await explain(ACK, '--json')).out);
    expect(explanation.steps[0].bytes).toMatch(/^45000052/);
    expect(explanation.layers[0].fields[0]).toMatchObject({ name: 'Version', offset: 0 });
    expect(explanation.mtu.overhead).toBe(40);
  });

  it.each([
    [['zz'], /"zz" is no packet/],
    [['tcp 1.2.3.4:5 > 6.7.8.9'], /column 17: expected ADDRESS:PORT/],
    [['/nowhere.pcap#1'], /\/nowhere.pcap cannot be read/],
    [[ACK, '--as', 's7'], /there is no server named s7/],
    [[ACK, '--against', '/nowhere'], /\/nowhere: cannot be read/],
    [[], /missing required argument 'packet'/],
  ])('%j: is refused', async (words, message) => {
    const { code, err } = await explain(...words);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
