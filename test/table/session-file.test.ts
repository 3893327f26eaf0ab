import { describe, expect, it } from 'vitest';
import { TableError } from '../../src/table/errors.js';
import { parseSessions } from '../../src/table/session-file.js';

const parse = (text: string) =>
  parseSessions(text, 'warp.sessions').map((key) => Buffer.from(key).toString('hex'));

describe('a session file', () => {
  it('has a key per line, in hexadecimal or as the 4-tuple', () => {
    const text = `# of warp
0a1b2c
  FF00ff   # a comment

udp 198.51.100.7:51820 > 192.0.2.1:4500
udp [2001:db8:c::7]:1 > [2001:db8:100::10]:65535
`;
    expect(parse(text)).toEqual([
      '0a1b2c',
      'ff00ff',
      'c6336407c0000201ca6c1194',
      '20010db8000c0000000000000000000720010db80100000000000000000000100001ffff',
    ]);
    expect(parse('')).toEqual([]);
  });

  it.each([
    'xyz',
    'abc',
    '00'.repeat(65),
    'udp 198.51.100.7 > 192.0.2.1:1',
    'udp 198.51.100.7:1 > [2001:db8::1]:1',
    'udp 198.51.100.777:1 > 192.0.2.1:1',
    'udp 198.51.100.7:65536 > 192.0.2.1:1',
    'icmp 198.51.100.7:1 > 192.0.2.1:1',
  ])('refuses %s, with its line', (line) => {
    expect(() => parse(`00\n${line}\n`)).toThrow(TableError);
    expect(() => parse(`00\n${line}\n`)).toThrow(/^warp\.sessions:2: .* is no session key: write/);
  });
});
