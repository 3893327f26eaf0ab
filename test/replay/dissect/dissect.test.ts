import { describe, expect, it } from 'vitest';
import { dissect, oneLine, tree } from '../../../src/replay/dissect/dissect.js';
import { CLS_GUE_TWO_HOPS, GLB_UDP4_ODD, KATRAN_TCP4, KATRAN_TCP6 } from '../../wire/frames.js';

const RAW = 101;

describe('oneLine', () => {
  it.each([
    ['IPv4', KATRAN_TCP4, '192.168.1.1:31337 > 10.200.1.1:80 TCP ACK seq 0 ack 0 win 8192 length 15'],
    ['IPv6', KATRAN_TCP6, '[fc00:2::1]:31337 > [fc00:1::1]:80 TCP ACK seq 0 ack 0 win 8192 length 15'],
    [
      'GUE',
      GLB_UDP4_ODD,
      '65.65.65.65 > 2.3.4.5 GUE hops [*3.4.5.6] | 192.222.123.118:16511 > 1.1.1.1:443 UDP length 1',
    ],
  ])('tells %s', (_, bytes, line) => {
    expect(oneLine(dissect(bytes, RAW))).toBe(line);
  });

  it('knows GUE on a port that it was told', () => {
    expect(oneLine(dissect(CLS_GUE_TWO_HOPS, RAW, { guePort: 1234 }))).toMatch(
      /^10\.0\.0\.9 > 127\.0\.0\.1 GUE hops \[10\.0\.0\.2 \*10\.0\.0\.3\] \| 127\.0\.0\.1:30080 > 127\.0\.0\.1:20080 TCP SYN seq 4096 win 65535 length 4/,
    );
  });
});

describe('tree', () => {
  it('shows every field with its bytes', () => {
    const lines = tree(dissect(KATRAN_TCP4, RAW));
    expect(lines[0]).toBe('IPv4 192.168.1.1 > 10.200.1.1 (bytes 0-54)');
    expect(lines).toContain('     10  ad4e      Header Checksum      0xad4e (correct)');
  });
});
