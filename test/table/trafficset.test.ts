import { describe, expect, it } from 'vitest';
import {
  ALL_PORTS,
  formatPortRange,
  parsePortRange,
  protocolOf,
  widthOf,
} from '../../src/table/trafficset.js';
import { coded } from './support.js';

describe('port ranges', () => {
  it('are read from numbers and texts', () => {
    expect(parsePortRange(80)).toEqual({ first: 80, last: 80 });
    expect(parsePortRange('80')).toEqual({ first: 80, last: 80 });
    expect(parsePortRange('8000-8999')).toEqual({ first: 8000, last: 8999 });
    expect(parsePortRange('1-65535')).toEqual({ first: 1, last: 65535 });
  });

  it('are refused when they are none', () => {
    for (const value of [
      0,
      -1,
      65536,
      80.5,
      '',
      '0-80',
      '90-80',
      '80-',
      '-80',
      '80-65536',
      '80,81',
      'http',
      ' 80',
      '1e3',
    ]) {
      expect(() => parsePortRange(value), String(value)).toThrow(coded('bad-port'));
    }
  });

  it('are written as short as they can be', () => {
    expect(formatPortRange({ first: 80, last: 80 })).toBe('80');
    expect(formatPortRange({ first: 80, last: 89 })).toBe('80-89');
    expect(widthOf(ALL_PORTS)).toBe(65536);
    expect(widthOf({ first: 80, last: 80 })).toBe(1);
  });
});

describe('protocolOf', () => {
  it('is TCP or UDP', () => {
    expect(protocolOf('tcp')).toBe(6);
    expect(protocolOf('udp-flow')).toBe(17);
    expect(protocolOf('request-response')).toBe(17);
  });
});
