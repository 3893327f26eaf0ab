import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadNodeConfig } from '../../src/node/config.js';

const BASE = `underlay: { prefixes: [10.0.0.0/16] }
servers:
  - { name: s1, dip: 10.0.1.1 }
  - { name: s2, dip: 10.0.2.1 }
trafficsets:
  - { name: web, kind: tcp, vips: [192.0.2.0/24], table: web.table }
`;

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-config-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function load(text: string, as = 's2') {
  const file = join(directory, 'cluster.yaml');
  writeFileSync(file, text);
  return loadNodeConfig(file, as);
}

/** The message, with the file's directory taken out. */
function errorOf(text: string, as?: string): string {
  try {
    load(text, as);
  } catch (error) {
    return (error as Error).message.replaceAll(`${directory}/`, '');
  }
  return '';
}

describe('node configuration', () => {
  it('is this server among the others, with defaults', () => {
    const config = load(BASE);
    expect(config).toMatchObject({
      name: 's2',
      dip: '10.0.2.1',
      dipNumber: 0x0a000201,
      interface: 'eth0',
      tun: { name: 'lb0', mtu: 9000, offload: 'off', batch: 'auto' },
      workers: 1,
      steering: 'tc',
      failureMode: 'closed',
      stickyReplies: false,
      synRate: 20_000,
      sender: 'mmsg',
      admin: [{ kind: 'tcp', host: '127.0.0.1', port: 9090 }],
    });
    expect(config.steer.map(String)).toEqual(['192.0.2.0/24']);
  });

  it('puts the server into admin addresses', () => {
    const config = load(
      `${BASE}node: { admin: ["{dip}:9090", "unix:/run/twohop/{name}.sock", "[::1]:9091"] }\n`,
    );
    expect(config.admin).toEqual([
      { kind: 'tcp', host: '10.0.2.1', port: 9090 },
      { kind: 'unix', path: '/run/twohop/s2.sock' },
      { kind: 'tcp', host: '::1', port: 9091 },
    ]);
  });

  it('keeps replies on their way where UDP is served', () => {
    expect(load(BASE.replace('kind: tcp', 'kind: udp-flow')).stickyReplies).toBe(true);
  });

  it.each([
    [
      'a name that is no server',
      BASE,
      'cluster.yaml:2:1: servers: there is no server named s9; name one of them with --as: s1, s2',
      's9',
    ],
    [
      'an unknown key',
      `${BASE}node: { wokers: 2 }\n`,
      'cluster.yaml:7:9: node.wokers: unknown key, did you mean workers?',
    ],
    [
      'a value of the wrong kind',
      `${BASE}node:\n  workers: many\n`,
      'cluster.yaml:8:12: node.workers: expected a number, got "many"',
    ],
    [
      'failing open without policy routing',
      `${BASE}node:\n  failure_mode: open\n`,
      'cluster.yaml:8:17: node.failure_mode: open needs steering: policy',
    ],
    [
      'an admin address that is none',
      `${BASE}node:\n  admin: [somewhere]\n`,
      'cluster.yaml:8:11: node.admin[0]: expected HOST:PORT, [V6]:PORT or unix:/PATH, got "somewhere"',
    ],
    [
      'a steered prefix with host bits',
      `${BASE}node:\n  steer: [192.0.2.1/24]\n`,
      'cluster.yaml:8:11: node.steer[0]: 192.0.2.1/24 has bits behind its prefix length',
    ],
    ['no YAML', 'underlay: [', 'cluster.yaml:'],
  ])('tells the place and the expectation: %s', (_what, text, message, as?: string) => {
    expect(errorOf(text, as)).toContain(message);
  });

  it('refuses to steer more prefixes than an interface should carry filters for', () => {
    const vips = Array.from({ length: 600 }, (_, i) => `20.${i >> 8}.${i & 255}.0/24`).join(', ');
    expect(errorOf(BASE.replace('192.0.2.0/24', vips))).toContain('600 prefixes would be steered');
    const text = `${BASE.replace('192.0.2.0/24', vips)}node: { steer: [20.0.0.0/8] }\n`;
    expect(load(text).steer.map(String)).toEqual(['20.0.0.0/8']);
  });
});
