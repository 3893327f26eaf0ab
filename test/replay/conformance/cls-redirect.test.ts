import { describe, expect, it } from 'vitest';
import { clsRedirect } from '../../../src/replay/conformance/cls-redirect.js';
import { ConformanceError, type VectorResult } from '../../../src/replay/conformance/format.js';
import { readVectors } from '../../vectors.js';

/** Cloudflare's redirector: all of its vectors, and files that differ from the one that is here. */

interface Vector {
  name: string;
  in: string;
  out: string | null;
  verdict: string;
  action: string;
  counters: Record<string, number>;
  ifmtu?: number;
}
interface Tuple {
  proto: string;
  src: string;
  sport: number | string;
  dst: string;
  dport: number | string;
}
interface VectorFile {
  source: string;
  sockets: {
    tcp_listen: string[];
    established_tuples_as_seen_by_packet: Tuple[];
    udp_unconnected: string[];
  };
  vectors: Vector[];
}

const load = () => readVectors<VectorFile>('cls-redirect');
const run = (file: unknown): VectorResult[] => [...clsRedirect.run(file)];
const failed = (file: unknown) => run(file).filter(({ outcome }) => outcome !== 'passed');

describe('cls-redirect', () => {
  it('agrees with all 2,200 packets: verdict, action, frame, counters', () => {
    const results = run(load());
    expect(results).toHaveLength(2200);
    expect(results.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(new Set(results.map(({ group }) => group)).size).toBe(19);
  });

  it.each([
    [
      'the verdict',
      (vector: Vector) => Object.assign(vector, { verdict: 'TC_ACT_OK' }),
      /^verdict: expected TC_ACT_OK, got TC_ACT_REDIRECT$/,
    ],
    [
      'the action',
      (vector: Vector) => Object.assign(vector, { action: 'forward_gue' }),
      /^action: expected forward_gue, got decap$/,
    ],
    [
      'a counter',
      (vector: Vector) => Object.assign(vector.counters, { accepted_packets_total_syn: 1 }),
      /^counter accepted_packets_total_syn: expected 1, got 0$/,
    ],
    [
      'a missing counter',
      (vector: Vector) => delete vector.counters.processed_packets_total,
      /^counter processed_packets_total: expected 0, got 1$/,
    ],
    [
      'a byte',
      (vector: Vector) => Object.assign(vector, { out: `ff${vector.out?.slice(2)}` }),
      /^ {2}1 of \d+ bytes differ, the first at 0/,
    ],
    [
      'that nothing leaves',
      (vector: Vector) => Object.assign(vector, { out: null }),
      /^output: expected none, got \d+ bytes$/,
    ],
  ] as const)('notices %s that is otherwise', (_what, change, line) => {
    const file = load();
    change(file.vectors[0]);
    const failures = failed(file);
    expect(failures.map(({ name }) => name)).toEqual([file.vectors[0].name]);
    expect(failures[0].detail).toContainEqual(expect.stringMatching(line));
    // And what was done here, step by step.
    expect(failures[0].detail).toContainEqual(expect.stringMatching(/^here: /));
  });

  it('takes zero counters as not given', () => {
    const file = load();
    for (const vector of file.vectors) vector.counters.errors_total_encap_adjust_failed = 0;
    expect(failed(file)).toEqual([]);
  });

  it('needs the sockets that were there', () => {
    const without = load();
    without.sockets.established_tuples_as_seen_by_packet = [];
    const failures = failed(without);
    expect(failures).toHaveLength(291);
    for (const { detail } of failures) {
      expect(detail).toContainEqual(
        expect.stringContaining('accepted_packets_total_established: expected 1, got 0'),
      );
    }
    // A SYN cookie is for a listener.
    const deaf = load();
    deaf.sockets.tcp_listen = ['127.0.0.1:20090'];
    expect(failed(deaf).map(({ group }) => group)).toEqual(Array(7).fill('syncookie'));
    expect(failed({ vectors: load().vectors })).toHaveLength(301);
  });

  it('knows sockets in other spellings', () => {
    const file = load();
    const respell = (address: string) => (address === '::1' ? '0:0:0:0:0:0:0:0001' : address);
    for (const tuple of file.sockets.established_tuples_as_seen_by_packet) {
      tuple.proto = tuple.proto.toUpperCase();
      tuple.src = respell(tuple.src);
      tuple.dst = `[${respell(tuple.dst)}]`.replace(/^\[([\d.]+)\]$/, ' $1 ');
      tuple.sport = String(tuple.sport);
    }
    file.sockets.tcp_listen = file.sockets.tcp_listen.map((text) =>
      text.replace('[::1]', '[0000:0::0001]').replace('[::]:20081 (dual stack)', '*:20081'),
    );
    expect(failed(file)).toEqual([]);
  });

  it('believes the file where the program expected GUE', () => {
    const file = load();
    // 127.0.0.1:1234 becomes 127.0.0.9:4321; the packets are still for the old place.
    file.source = 'run with ENCAPSULATION 127.0.0.9:4321';
    const ours = file.vectors.filter(({ action }) => action !== 'pass').length;
    expect(failed(file)).toHaveLength(ours);
    file.source = 'nothing about it';
    expect(failed(file)).toEqual([]);
  });

  it('reports a vector that is none, by its index, and runs the others', () => {
    const file = load();
    const [first, second, third] = file.vectors;
    file.vectors.splice(
      0,
      6,
      null as never,
      { ...first, in: 'zz' },
      { ...second, name: undefined } as never,
      { ...third, counters: { processed_packets_total: '1' } } as never,
      { ...third, in: '0011' },
      { ...third, action: 'explode', out: 7 } as never,
    );
    const failures = failed(file);
    expect(run(file)).toHaveLength(2200);
    expect(failures.map(({ name, group }) => [name, group])).toEqual([
      ['#0', 'malformed'],
      [first.name, 'matrix'],
      ['#2', 'malformed'],
      [third.name, 'matrix'],
      [third.name, 'matrix'],
      [third.name, 'matrix'],
    ]);
    const text = failures.map(({ detail }) => detail.join('\n'));
    expect(text[0]).toMatch(/^vector 0 is malformed: .*got null$/);
    expect(text[1]).toMatch(/^vector 1 is malformed: in: expected bytes in hexadecimal.*got "zz"$/);
    expect(text[2]).toMatch(/^vector 2 is malformed: name: .*got nothing$/);
    expect(text[3]).toMatch(/^vector 3 is malformed: counters\.processed_packets_total: .*got "1"$/);
    expect(text[4]).toMatch(/^vector 4 is malformed: in: expected an Ethernet frame of at least 14 bytes/);
    expect(text[5]).toMatch(/action: .*\n.*out: /);
  });

  it.each([
    [{ tcp_listen: ['127.0.0.1'] }, /sockets\.tcp_listen\[0\]: expected ADDRESS:PORT.*got "127\.0\.0\.1"/],
    [{ tcp_listen: ['localhost:80'] }, /tcp_listen\[0\]/],
    [{ tcp_listen: ['[::1]:70000'] }, /tcp_listen\[0\]/],
    [{ udp_unconnected: 7 }, /sockets\.udp_unconnected: /],
    [{ tcp_listen: [], established_tuples_as_seen_by_packet: [{ proto: 'sctp' }] }, /packet\[0\]\.proto/],
    [
      {
        tcp_listen: [],
        established_tuples_as_seen_by_packet: [
          { proto: 'tcp', src: '::1', sport: 1, dst: '127.0.0.1', dport: 1 },
        ],
      },
      /two addresses of one family/,
    ],
  ])('refuses a file whose sockets cannot be read: %j', (sockets, message) => {
    const file = { ...load(), sockets };
    expect(() => run(file)).toThrow(ConformanceError);
    expect(() => run(file)).toThrow(message);
  });

  it.each([
    null,
    [],
    'x',
    {},
    { vectors: [] },
    { vectors: [{ name: 'a', in: '00' }] },
    { vectors: {}, sockets: {} },
  ])('does not take %j for its own', (file) => {
    expect(clsRedirect.recognises(file)).toBe(false);
  });

  it('recognises its files by sockets or vectors', () => {
    const file = load();
    expect(clsRedirect.recognises(file)).toBe(true);
    expect(clsRedirect.recognises({ vectors: file.vectors.slice(0, 1) })).toBe(true);
    expect(clsRedirect.recognises({ vectors: [null], sockets: { tcp_listen: [] } })).toBe(true);
  });
});
