import fc from 'fast-check';
import ip6addr from 'ip6addr';
import { describe, expect, it } from 'vitest';
import { formatIpv4, formatIpv6 } from '../../src/wire/address.js';
import { dataOf, hex } from './bytes.js';

describe('formatIpv4', () => {
  it.each([
    [0, '0.0.0.0'],
    [0x0a000101, '10.0.1.1'],
    [0x7f000001, '127.0.0.1'],
    [0xffffffff, '255.255.255.255'],
    [0xc0000200 | 0, '192.0.2.0'],
  ])('%i is %s', (address, text) => {
    expect(formatIpv4(address)).toBe(text);
  });
});

describe('formatIpv6', () => {
  it.each([
    // RFC 5952, sections 1 and 4, in their order.
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['20010db8000000000000000000020001', '2001:db8::2:1'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010000000000010000000000000001', '2001:0:0:1::1'],
    ['20010db8aaaabbbbccccddddeeee0001', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:1'],
    // Section 5.
    ['00000000000000000000ffffc0000201', '::ffff:192.0.2.1'],
    // The ends.
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['fe800000000000000000000000000000', 'fe80::'],
    ['ffffffffffffffffffffffffffffffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['00000001000000010000000100000001', '0:1:0:1:0:1:0:1'],
    // Looks mapped and is not.
    ['0000000000000000000000ffc0000201', '::ff:c000:201'],
  ])('%s is %s', (bytes, text) => {
    expect(formatIpv6(dataOf(hex('dead', bytes)), 2)).toBe(text);
  });

  it('is read back by the parser that configuration uses', () => {
    const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const bytes = new Uint8Array(16);
        groups.forEach((value, i) => {
          dataOf(bytes).setUint16(2 * i, value);
        });
        const text = formatIpv6(dataOf(bytes), 0);
        expect(Uint8Array.from(ip6addr.parse(text).toBuffer(Buffer.alloc(16)))).toEqual(bytes);
      }),
    );
  });
});
