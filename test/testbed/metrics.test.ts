import { describe, expect, it } from 'vitest';
import { parseMetrics } from '../../src/testbed/metrics.js';

const PAGE = `# HELP twohop_packets_total Packets
# TYPE twohop_packets_total counter
twohop_packets_total{stage="forward",verdict="forward"} 6
twohop_packets_total{stage="forward",verdict="redirect"} 2
twohop_packets_total{stage="redirect",verdict="redirect"} 1.5e2 1700000000000
twohop_up 1
odd{text="a \\"quoted\\" } brace, comma",n="1"} +Inf
`;

describe('metrics page', () => {
  const metrics = parseMetrics(PAGE);

  it('sums the samples whose labels include those asked for', () => {
    expect(metrics.sum('twohop_packets_total')).toBe(158);
    expect(metrics.sum('twohop_packets_total', { verdict: 'redirect' })).toBe(152);
    expect(metrics.sum('twohop_packets_total', { verdict: 'redirect', stage: 'forward' })).toBe(2);
    expect(metrics.sum('twohop_up')).toBe(1);
    expect(metrics.sum('twohop_up', { verdict: 'forward' })).toBe(0);
  });

  it('reads escaped label values and infinities', () => {
    const odd = metrics.samples.find(({ name }) => name === 'odd');
    expect(odd).toEqual({
      name: 'odd',
      labels: { text: 'a "quoted" } brace, comma', n: '1' },
      value: Number.POSITIVE_INFINITY,
    });
  });
});
