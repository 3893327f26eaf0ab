import { describe, expect, it } from 'vitest';
import { judgeServers, type Presence } from '../../../src/conductor/health/judge-servers.js';
import type { HealthRecord, MonitorResult } from '../../../src/store/records.js';
import { conductorShape, NO_CONTROL } from '../../../src/table/control.js';
import { down, member, group as newGroup, up } from './support.js';

const GROUPS = [
  { ...newGroup(member('http')), name: 'web' },
  { ...newGroup(member('gue')), name: 'path' },
];
const HERE: Presence = { healthy: true, absentFor: 0 };

interface Case {
  /** What each vantage sees of server s1. */
  readonly seen?: Record<string, Record<string, MonitorResult>>;
  readonly presence?: Presence | null;
  readonly nodeHealth?: string;
  readonly group?: string | null;
}

function judge({ seen = {}, presence = HERE, nodeHealth, group = 'web' }: Case) {
  const conductor = conductorShape.parse({ node_absence_seconds: 3, node_health: nodeHealth });
  const reports = new Map<string, HealthRecord>(
    Object.entries(seen).map(([vantage, results]) => [vantage, { sequence: 1, results: { s1: results } }]),
  );
  const config = { control: { ...NO_CONTROL, conductor, groups: GROUPS } };
  const known = new Map(presence === null ? [] : [['s1', presence] as const]);
  const [verdict] = judgeServers(config, group, ['s1'], { reports, presence: known });
  return verdict;
}

describe('a server', () => {
  it('is up when its node is there and its service answers', () => {
    expect(judge({ seen: { s2: { http: up(4) }, s3: { http: up(6) } } })).toEqual({
      server: 's1',
      up: true,
      why: '',
      latency: 5,
    });
  });

  it('is down when its service does not answer most vantages', () => {
    const seen = { s2: { http: down('HTTP 503') }, s3: { http: down('HTTP 503') }, s4: { http: up() } };
    expect(judge({ seen })).toMatchObject({
      up: false,
      why: '2 of 3 vantages: http: HTTP 503 (s2, s3)',
    });
  });

  it('needs no service to answer where the trafficset has no group', () => {
    expect(judge({ group: null, seen: { s2: { http: down('x') } } }).up).toBe(true);
  });

  it('is not known as long as nobody has reported its service', () => {
    expect(judge({ seen: {} })).toMatchObject({ up: null, why: 'nobody reports' });
  });

  it('is down with its node, whatever its service answers', () => {
    const seen = { s2: { http: up() } };
    expect(judge({ seen, presence: { healthy: false, absentFor: 0 } })).toMatchObject({
      up: false,
      why: 'its node reports itself unhealthy',
    });
    expect(judge({ seen: {}, presence: { healthy: false, absentFor: 0 } }).up).toBe(false);
  });

  it('is down when the store has not heard of its node for longer than it may, and not known before', () => {
    const seen = { s2: { http: up() } };
    expect(judge({ seen, presence: { healthy: true, absentFor: 3 } })).toMatchObject({
      up: null,
      why: 'the store does not have its node at the moment',
    });
    expect(judge({ seen, presence: { healthy: null, absentFor: 3 } }).up).toBeNull();
    expect(judge({ seen, presence: { healthy: true, absentFor: 3.1 } })).toMatchObject({
      up: false,
      why: 'the store has not heard of its node for 3 s',
    });
    expect(judge({ seen, presence: { healthy: null, absentFor: 3.1 } }).up).toBe(false);
  });

  it('is not known while a node that stopped in good order may be starting again', () => {
    const seen = { s2: { http: up() } };
    expect(judge({ seen, presence: { healthy: false, absentFor: 0.5 } }).up).toBeNull();
    expect(judge({ seen, presence: { healthy: false, absentFor: 3.1 } }).up).toBe(false);
  });

  it('is not known when the store has never heard of its node', () => {
    expect(judge({ seen: { s2: { http: up() } }, presence: null }).up).toBeNull();
  });

  it('is reported by itself only where nobody else does', () => {
    const seen = { s1: { http: up() }, s2: { http: down('x') } };
    expect(judge({ seen })).toMatchObject({ up: false, why: '1 of 1 vantages: http: x (s2)' });
    expect(judge({ seen: { s1: { http: up() } } }).up).toBe(true);
    expect(judge({ seen: { s1: { http: up() }, s2: {} } }).up).toBe(true);
  });
});

describe('a server whose node is watched by a group of monitors', () => {
  it('is down when they say so, although the store has heard of it', () => {
    const seen = { s2: { gue: down('no answer in 2 s'), http: up() } };
    expect(judge({ seen, nodeHealth: 'path' })).toMatchObject({
      up: false,
      why: '1 of 1 vantages: gue: no answer in 2 s (s2)',
    });
  });

  it('stays up when only the store does not hear of it', () => {
    const seen = { s2: { gue: up(1), http: up(9) } };
    for (const absentFor of [0.5, 60]) {
      expect(judge({ seen, nodeHealth: 'path', presence: { healthy: true, absentFor } }).up).toBe(true);
      expect(judge({ seen, nodeHealth: 'path', presence: { healthy: null, absentFor } }).up).toBe(true);
    }
    const verdict = judge({ seen, nodeHealth: 'path', presence: { healthy: true, absentFor: 60 } });
    expect(verdict).toMatchObject({ up: true, latency: 9 });
    expect(judge({ seen, nodeHealth: 'path', presence: null }).up).toBe(true);
  });

  it('is down when its node, heard of, reports itself unhealthy', () => {
    const seen = { s2: { gue: up(), http: up() } };
    expect(judge({ seen, nodeHealth: 'path', presence: { healthy: false, absentFor: 0 } }).up).toBe(false);
  });

  it('has the latency of the service, and of the node where there is no service', () => {
    const seen = { s2: { gue: up(1) } };
    expect(judge({ seen, nodeHealth: 'path', group: null }).latency).toBe(1);
  });
});
