import { describe, expect, it } from 'vitest';
import { readGlbJson } from '../../../src/table/glb/forwarding-json.js';
import { formatGlbAddress, formatGlbBind } from '../../../src/table/glb/glb-table.js';
import { ConfigError } from '../../../src/table/yaml.js';
import { forwardingJson, HASH_KEY, SEED } from './support.js';

type Json = ReturnType<typeof forwardingJson>;

function problemsOf(text: string): string[] {
  try {
    readGlbJson(text, 'table.json');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

function problemsAfter(change: (json: Json) => void): string[] {
  const json = forwardingJson();
  change(json);
  return problemsOf(JSON.stringify(json));
}

describe("GLB's forwarding_table.json", () => {
  it('is read, indented with tabs as GLB writes it', () => {
    const [table] = readGlbJson(
      JSON.stringify({ note: 'others are passed over', ...forwardingJson() }, null, '\t'),
      'x',
    );
    expect(Buffer.from(table.hashKey).toString('hex')).toBe(HASH_KEY);
    expect(Buffer.from(table.seed).toString('hex')).toBe(SEED);
    expect(
      table.backends.map(({ address, state, healthy }) => [formatGlbAddress(address), state, healthy]),
    ).toEqual([
      ['10.0.1.1', 'active', true],
      ['10.0.2.1', 'draining', true],
      ['10.0.3.1', 'filling', false],
      ['10.0.4.1', 'inactive', true],
    ]);
    expect(table.binds.map(formatGlbBind)).toEqual(['192.0.2.1/32 tcp 80', '2001:db8::/64 udp 8000-8999']);
  });

  it('may have no tables', () => {
    expect(readGlbJson('{\n\t"tables": []\n}\n', 'x')).toEqual([]);
  });

  it('takes a backend without a word about its health for unhealthy, as GLB does', () => {
    const json = forwardingJson();
    delete json.tables[0].backends[0].healthy;
    expect(readGlbJson(JSON.stringify(json), 'x')[0].backends[0].healthy).toBe(false);
  });

  it.each<[string, (json: Json) => void, RegExp]>([
    [
      'a key that is too short',
      (json) => (json.tables[0].hash_key = '00'),
      /^table\.json:1:\d+: tables\[0\]\.hash_key: expected 32 hexadecimal digits/,
    ],
    [
      'a seed that is none',
      (json) => (json.tables[0].seed = 'z'.repeat(32)),
      /tables\[0\]\.seed: expected 32 hex/,
    ],
    [
      'an address',
      (json) => (json.tables[0].backends[1].ip = '10.0.2'),
      /tables\[0\]\.backends\[1\]\.ip: "10\.0\.2" is no IPv4 address/,
    ],
    [
      'an IPv6 address',
      (json) => (json.tables[0].backends[1].ip = 'fe80::1%eth0'),
      /backends\[1\]\.ip: .* is no IPv6 address/,
    ],
    [
      'a state',
      (json) => (json.tables[0].backends[2].state = 'dead'),
      /backends\[2\]\.state: expected active or filling or draining or inactive, got "dead"/,
    ],
    [
      'a health',
      (json) => (json.tables[0].backends[2].healthy = 1),
      /backends\[2\]\.healthy: expected true or false, got 1/,
    ],
    [
      'a prefix length',
      (json) => (json.tables[0].binds[0].ip = '192.0.2.0/33'),
      /binds\[0\]\.ip: expected a prefix length from 0 to 32, got "33"/,
    ],
    [
      'a protocol',
      (json) => (json.tables[0].binds[0].proto = 'sctp'),
      /binds\[0\]\.proto: expected tcp or udp/,
    ],
    ['a port', (json) => (json.tables[0].binds[0].port = 65536), /binds\[0\]\.port: expected at most 65535/],
    [
      'no port',
      (json) => delete json.tables[0].binds[0].port,
      /binds\[0\]: give port, or port_start and a port_end/,
    ],
    [
      'half a range',
      (json) => delete json.tables[0].binds[1].port_end,
      /binds\[1\]: give port, or port_start/,
    ],
    [
      'a range upside down',
      (json) => (json.tables[0].binds[1].port_end = 7),
      /binds\[1\]: give port, or port_start/,
    ],
    [
      'one backend',
      (json) => json.tables[0].backends.splice(1),
      /tables\[0\]\.backends: expected at least two that are not inactive/,
    ],
    [
      'too many backends',
      (json) =>
        (json.tables[0].backends = Array.from({ length: 257 }, (_, i) => ({
          ip: `10.0.${i >> 8}.${i & 255}`,
          state: 'active',
        }))),
      /tables\[0\]\.backends: expected at most 256 entries/,
    ],
    [
      'no binds',
      (json) => Reflect.deleteProperty(json.tables[0], 'binds'),
      /tables\[0\]\.binds: expected a list, got nothing/,
    ],
  ])('tells where the mistake is: %s', (_, change, message) => {
    expect(problemsAfter(change)[0]).toMatch(message);
  });

  it('tells all mistakes at once, and the line of a comma too many', () => {
    const problems = problemsAfter((json) => {
      json.tables[0].seed = '';
      json.tables[0].backends[0].ip = '';
    });
    expect(problems).toHaveLength(2);
    expect(problemsOf('{\n\t"tables": [,]\n}')[0]).toMatch(/^table\.json:2:\d+: Unexpected ,/);
    expect(problemsOf('[]')[0]).toMatch(/^table\.json:1:1: expected a map/);
  });
});
