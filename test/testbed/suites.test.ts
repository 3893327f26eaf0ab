import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { PROCESS_ENTRY } from '../../src/testbed/locations.js';
import { SUITES, suiteNamed } from '../../src/testbed/suites/index.js';
import { twohop } from './support.js';

const needs = (...args: string[]): string[] => {
  const run = spawnSync(process.execPath, [PROCESS_ENTRY, 'needs', ...args], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  return run.stdout.trim().split('\n');
};

describe('demonstrations', () => {
  it.each(SUITES.map(({ name }) => name))('%s: clients, trafficsets and steps fit together', (name) => {
    const suite = suiteNamed(name);
    for (const client of [...suite.access, ...suite.clientProcesses]) {
      expect(client).toBeGreaterThan(0);
      expect(client).toBeLessThanOrEqual(suite.clients);
    }
    for (const names of [suite.trafficsets(4), suite.scenarios].map((list) => list.map((one) => one.name))) {
      expect(names.length).toBeGreaterThan(0);
      expect(new Set(names).size).toBe(names.length);
    }
    // Printed as a heading and what is under it.
    for (const { title } of suite.scenarios) expect(title).toMatch(/^[^:]+: ./);
  });

  it('are found by name, or it is said which there are', async () => {
    expect(() => suiteNamed('none')).toThrow('no demonstration "none": there are web, ');
    const { code, stderr } = await twohop(['demo', 'none']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('Allowed choices are web, ');
  });

  it('tell the scripts what to install', () => {
    expect(needs('demo')).toEqual(expect.arrayContaining(['ip iproute2', 'curl curl']));
    const options = ['--servers', '3', '--failure-mode', 'open', '--json'];
    const udp = needs('demo', ...options, 'udp');
    expect(udp).toEqual(expect.arrayContaining(['ip iproute2', 'dig bind9-dnsutils']));
    expect(udp).not.toContain('curl curl');
    expect(needs('demo', 'udp', '--keep')).toEqual(
      expect.arrayContaining(['dig bind9-dnsutils', 'curl curl', 'tcpdump tcpdump']),
    );
    const all = needs('tests');
    expect(all).toEqual(expect.arrayContaining(['curl curl', 'dnsperf dnsperf', 'nsd nsd', 'socat socat']));
    expect(new Set(all).size).toBe(all.length);
  });

  it.each(['quic --help', '-h', 'all', 'udp quic', '--no-such-option'])(
    'need nothing where none is shown: %s',
    (args) => {
      expect(needs('demo', ...args.split(' '))).toEqual(['']);
    },
  );
});
