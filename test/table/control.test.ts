import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadCluster } from '../../src/table/cluster.js';
import { ConfigError } from '../../src/table/yaml.js';

interface Sections {
  readonly monitors?: readonly object[];
  readonly monitor_groups?: readonly object[];
  readonly conductor?: object;
  readonly balance?: object;
}

const HTTP = { name: 'http', type: 'http', port: 8080, path: '/health' };
const ECHO = { name: 'echo', type: 'gue', vip: '192.0.2.1' };

describe('the sections of the control plane', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-control-'));
    file = join(directory, 'cluster.yaml');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function load({ balance = {}, ...sections }: Sections) {
    const text = stringify({
      underlay: { prefixes: ['10.0.0.0/16'] },
      servers: [{ name: 's1', dip: '10.0.1.1' }],
      trafficsets: [{ name: 'web', kind: 'tcp', vips: ['192.0.2.0/24'], balance }],
      store: 'file:/var/lib/twohop/store',
      ...sections,
    });
    writeFileSync(file, text);
    return loadCluster(file);
  }

  /** What is wrong, without the places. */
  function problems(sections: Sections): string[] {
    try {
      load(sections);
      return [];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems.map(({ path, message }) => `${path}: ${message}`);
    }
  }

  it('have defaults', () => {
    const { control, trafficsets } = load({});
    expect(control.conductor).toMatchObject({ vantages: 3, settle_seconds: 2, wide_problem: 0.5 });
    expect(trafficsets[0].balance).toMatchObject({ buckets: 4096, pools: { default: 1 }, load: 'reports' });
  });

  it('take monitors of every type, with what each checks', () => {
    const monitors = [
      HTTP,
      ECHO,
      { name: 'port', type: 'tcp', port: 3000, interval_seconds: 1, timeout_seconds: 0.5 },
      { name: 'db', type: 'script', command: ['/usr/bin/check-db', '{dip}'], rise: 1, fall: 5 },
    ];
    const group = { name: 'checks', members: monitors.map(({ name }) => ({ monitor: name })) };
    const { control } = load({ monitors, monitor_groups: [group], balance: { health: 'checks' } });
    expect(control.monitors).toMatchObject(monitors);
    expect(control.monitors[0]).toMatchObject({ interval_seconds: 5, timeout_seconds: 2, rise: 2, fall: 3 });
    expect(control.groups[0].members).toHaveLength(4);
  });

  it('refuse an HTTP path or host that no request could have', () => {
    expect(problems({ monitors: [{ ...HTTP, path: '/a b' }] })).toEqual([
      'monitors[0].path: expected a path like /health, without spaces, got "/a b"',
    ]);
    expect(problems({ monitors: [{ ...HTTP, host: 'a\r\nb' }] })).toEqual([
      expect.stringMatching(/^monitors\[0\]\.host: expected a host name like example.com, got/),
    ]);
  });

  it('refuse a check through the tunnel of what is no VIP, or cannot answer', () => {
    const vip = (vip: string) => problems({ monitors: [{ ...ECHO, vip }] });
    expect(vip('192.0.2.255')).toEqual([]);
    expect(vip('192.0.3.1')).toEqual([
      "monitors[0].vip: 192.0.3.1 lies in no trafficset's vips: servers would drop what is wrapped for it",
    ]);
    expect(vip('2001:db8:100::1')).toEqual([
      expect.stringMatching(/^monitors\[0\]\.vip: 2001:db8:100::1 is an IPv6 address: .* need an IPv4 VIP/),
    ]);
    expect(vip('192.0.2')).toEqual(['monitors[0].vip: "192.0.2" is no IPv4 address: write it like 10.0.1.1']);
  });

  it('refuse names that do not exist, and say which do', () => {
    expect(
      problems({
        monitors: [HTTP],
        monitor_groups: [{ name: 'checks', members: [{ monitor: 'https' }] }],
        balance: { health: 'check' },
        conductor: { node_health: 'nodes' },
      }),
    ).toEqual([
      'monitor_groups[0].members[0].monitor: there is no monitor https: there are http',
      'trafficsets[0].balance.health: there is no monitor group check: there are checks',
      'conductor.node_health: there is no monitor group nodes: there are checks',
    ]);
  });

  it('refuse the same name twice, and a monitor that would vote twice', () => {
    const group = { name: 'checks', members: [{ monitor: 'http' }, { monitor: 'http' }] };
    expect(problems({ monitors: [HTTP, HTTP], monitor_groups: [group] })).toEqual([
      'monitors[1].name: http is also the name of monitors[0]',
      'monitor_groups[0].members[1].monitor: http is member 0 already: it would vote twice',
    ]);
  });

  it('refuse a group without a vote, and one of more than five', () => {
    const member = { monitor: 'http', monitoring_only: true };
    expect(problems({ monitors: [HTTP], monitor_groups: [{ name: 'checks', members: [member] }] })).toEqual([
      'monitor_groups[0]: has no active member: one must be enabled and not monitoring_only',
    ]);
    const six = Array.from({ length: 6 }, (_, index) => ({ ...HTTP, name: `http${index}` }));
    const members = six.map(({ name }) => ({ monitor: name }));
    expect(problems({ monitors: six, monitor_groups: [{ name: 'checks', members }] })).toEqual([
      expect.stringMatching(/^monitor_groups\[0\]\.members: .*5/),
    ]);
  });

  it('refuse a wide problem that would be over before it begins', () => {
    expect(problems({ conductor: { wide_problem: 0.4, wide_problem_over: 0.5 } })).toEqual([
      'conductor.wide_problem_over: expected no more than wide_problem',
    ]);
  });
});
