import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6, parsePrefix } from '../../src/table/address.js';

const code = (value: string) => expect.objectContaining({ code: value });

describe('IPv4 addresses', () => {
  it('are host-order numbers', () => {
    expect(parseIpv4('10.0.1.1')).toBe(0x0a000101);
    expect(parseIpv4('0.0.0.0')).toBe(0);
    expect(parseIpv4('255.255.255.255')).toBe(0xffffffff);
  });

  it('of ranges are read in another way, to the same number', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        expect(parsePrefix(text).words[0]).toBe(parseIpv4(text));
      }),
    );
  });

  it('are written back as they were read', () => {
    fc.assert(fc.property(fc.nat(0xffffffff), (address) => parseIpv4(formatIpv4(address)) === address));
    fc.assert(fc.property(fc.ipV4(), (text) => formatIpv4(parseIpv4(text)) === text));
  });

  it('are refused in any spelling that two programs could read differently', () => {
    for (const text of [
      '',
      '10.0.1',
      '010.0.0.1',
      '10.0.0.256',
      ' 10.0.0.1',
      '10.0.0.1 ',
      '10..0.1',
      '0x0a.0.0.1',
      '::1',
      '1e1.0.0.1',
    ]) {
      expect(() => parseIpv4(text), text).toThrow(code('bad-address'));
    }
  });
});

describe('IPv6 addresses', () => {
  it('are four host-order words', () => {
    expect([...parseIpv6('2001:db8:100::1')]).toEqual([0x20010db8, 0x01000000, 0, 1]);
    expect([...parseIpv6('::')]).toEqual([0, 0, 0, 0]);
    expect([...parseIpv6('::FFFF:10.0.0.1')]).toEqual([0, 0, 0xffff, 0x0a000001]);
  });

  it('are written in the form of RFC 5952', () => {
    const forms = [
      ['2001:0DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['1:0:0:0:0:0:0:0', '1::'],
      ['0:0:0:0:0:0:0:1', '::1'],
    ] as const;
    for (const [text, form] of forms) expect(formatIpv6(parseIpv6(text))).toBe(form);
  });

  it('are written as the URL standard writes them', () => {
    const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const text = groups.map((value) => value.toString(16)).join(':');
        expect(`[${formatIpv6(parseIpv6(text))}]`).toBe(new URL(`http://[${text}]`).hostname);
      }),
    );
  });

  it('are refused with zones, long groups or a dotted tail that is not mapped', () => {
    for (const text of [
      '',
      '1',
      ':::',
      '1::2::3',
      'fe80::1%eth0',
      '1::00001',
      '::10.0.0.1',
      '1:2:3:4:5:6:7:8:9',
      '10.0.0.1',
    ]) {
      expect(() => parseIpv6(text), text).toThrow(code('bad-address'));
    }
  });
});

describe('prefixes', () => {
  it('are read and written', () => {
    for (const text of [
      '0.0.0.0/0',
      '192.0.2.0/24',
      '192.0.2.1/32',
      '::/0',
      '2001:db8::/33',
      '2001:db8::1/128',
    ]) {
      expect(String(parsePrefix(text))).toBe(text);
    }
    expect(String(parsePrefix('192.0.2.1'))).toBe('192.0.2.1/32');
    expect(String(parsePrefix('2001:db8::1'))).toBe('2001:db8::1/128');
  });

  it('with host bits are refused, naming the right prefix', () => {
    expect(() => parsePrefix('10.1.2.3/8')).toThrow(code('host-bits'));
    expect(() => parsePrefix('10.1.2.3/8')).toThrow(
      'write 10.0.0.0/8 for the range, or 10.1.2.3 for the one address',
    );
    expect(() => parsePrefix('2001:db8::1/64')).toThrow('write 2001:db8::/64');
    expect(() => parsePrefix('2001:db8::1:0:0:0/64')).toThrow('write 2001:db8::/64');
    expect(() => parsePrefix('2001:db8:0:1::/32')).toThrow('write 2001:db8::/32');
    expect(() => parsePrefix('128.0.0.0/0')).toThrow('write 0.0.0.0/0');
  });

  it('with a bad length are refused', () => {
    for (const text of [
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      '10.0.0.0/8/8',
      '::/129',
      '::/1x',
      '10.0.0.0/ 8',
    ]) {
      expect(() => parsePrefix(text), text).toThrow(code('bad-prefix'));
    }
    expect(() => parsePrefix('/8')).toThrow(code('bad-address'));
  });

  it('are refused when they are IPv4 in IPv6 clothes', () => {
    expect(() => parsePrefix('::ffff:10.0.0.0/104')).toThrow(code('bad-prefix'));
  });

  it('contain what shares their leading bits', () => {
    const prefix = parsePrefix('10.0.1.0/24');
    expect(prefix.contains4(0x0a000100)).toBe(true);
    expect(prefix.contains4(0x0a0001ff)).toBe(true);
    expect(prefix.contains4(0x0a000200)).toBe(false);
    expect(prefix.contains6([0, 0, 0, 0x0a000100])).toBe(false);
    expect(parsePrefix('0.0.0.0/0').contains4(0xffffffff)).toBe(true);
    expect(parsePrefix('255.255.255.255').contains4(0xfffffffe)).toBe(false);
    const long = parsePrefix('2001:db8::/65');
    expect(long.contains6(parseIpv6('2001:db8::7fff:0:0:1'))).toBe(true);
    expect(long.contains6(parseIpv6('2001:db8::8000:0:0:1'))).toBe(false);
    expect(long.contains4(0)).toBe(false);
    expect(parsePrefix('::/0').contains6(parseIpv6('ffff::'))).toBe(true);
  });
});
