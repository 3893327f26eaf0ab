import { describe, expect, it } from 'vitest';
import { dissect } from '../../../src/replay/dissect/dissect.js';
import { makePacket } from '../../path/packets.js';
import { concat, hex } from '../../wire/bytes.js';
import { ETHERNET, ethernet, expectSound, protocolsOf, valuesOf } from './support.js';

const PACKET = makePacket({ payload: 0 });
const PACKET6 = makePacket({ version: 6, payload: 0 });

function look(linkType: number, bytes: Uint8Array): ReturnType<typeof dissect> {
  const layers = dissect(bytes, linkType);
  expectSound(bytes, layers);
  return layers;
}

describe('Ethernet', () => {
  it('has addresses, a type, and padding behind the packet', () => {
    const layers = look(ETHERNET, ethernet(0x0800, concat(PACKET, new Uint8Array(6))));
    expect(protocolsOf(layers)).toEqual(['Ethernet', 'IPv4', 'TCP', 'Trailer']);
    expect(layers[0]).toMatchObject({ length: 60, summary: '02:00:00:00:00:02 > 02:00:00:00:00:01' });
    expect(valuesOf(layers[0])).toEqual({
      'Destination Address': '02:00:00:00:00:01',
      'Source Address': '02:00:00:00:00:02',
      EtherType: '0x0800 (IPv4)',
    });
    expect(layers[3]).toMatchObject({ offset: 54, length: 6, summary: '6 bytes of padding' });
  });

  it('may have VLAN tags', () => {
    const layers = look(ETHERNET, ethernet(0x88a8, concat(hex('7064 8100 00c8 86dd'), PACKET6)));
    expect(protocolsOf(layers)).toEqual(['Ethernet', 'VLAN', 'VLAN', 'IPv6', 'TCP']);
    expect(valuesOf(layers[1])).toEqual({
      'Priority Code Point': '3',
      'Drop Eligible Indicator': '1',
      'VLAN Identifier': '100',
      EtherType: '0x8100 (802.1Q VLAN)',
    });
    expect(layers[2].summary).toBe('200');
  });

  it('may have a length instead of a type', () => {
    const layers = look(ETHERNET, ethernet(3, hex('424203 0000')));
    expect(layers.map(({ protocol, length }) => [protocol, length])).toEqual([
      ['Ethernet', 17],
      ['LLC', 3],
      ['Trailer', 2],
    ]);
    expect(look(ETHERNET, ethernet(100, hex('424203')))[0].problem).toMatch(/length says 100 bytes/);
  });

  it('carries ARP', () => {
    const arp = hex('0001 0800 06 04 0001 020000000002 0a000001 000000000000 0a000002');
    const layers = look(ETHERNET, ethernet(0x0806, concat(arp, new Uint8Array(18))));
    expect(protocolsOf(layers)).toEqual(['Ethernet', 'ARP', 'Trailer']);
    expect(valuesOf(layers[1])).toEqual({
      'Hardware Type': '1 (Ethernet)',
      'Protocol Type': '0x0800 (IPv4)',
      'Hardware Address Length': '6 (bytes)',
      'Protocol Address Length': '4 (bytes)',
      Operation: '1 (request)',
      'Sender Hardware Address': '02:00:00:00:00:02',
      'Sender Protocol Address': '10.0.0.1',
      'Target Hardware Address': '00:00:00:00:00:00',
      'Target Protocol Address': '10.0.0.2',
    });
    const odd = look(
      ETHERNET,
      ethernet(0x0806, hex('0006 0800 08 00 0009 0102030405060708 0102030405060708')),
    );
    expect(odd[1].summary).toBe('operation 9');
  });

  it('has a problem when it is cut', () => {
    expect(look(ETHERNET, new Uint8Array(13))[0].problem).toMatch(/13 of at least 14 bytes/);
    expect(look(ETHERNET, ethernet(0x8100, hex('0064')))[1].problem).toMatch(/2 of at least 4 bytes/);
    expect(look(ETHERNET, ethernet(0x0806, hex('0001')))[1].problem).toMatch(/cut short/);
  });
});

describe('Linux cooked captures', () => {
  it('version 1', () => {
    const layers = look(113, concat(hex('0004 0001 0006 020000000001 0000 0800'), PACKET));
    expect(protocolsOf(layers)).toEqual(['Linux SLL', 'IPv4', 'TCP']);
    expect(valuesOf(layers[0])).toEqual({
      'Packet Type': '4 (sent by us)',
      'ARPHRD Type': '1 (Ethernet)',
      'Link-Layer Address Length': '6 (bytes)',
      'Link-Layer Address': '020000000001',
      'Protocol Type': '0x0800 (IPv4)',
    });
  });

  it('version 2', () => {
    const layers = look(276, concat(hex('86dd 0000 00000003 0304 00 00 0000000000000000'), PACKET6));
    expect(protocolsOf(layers)).toEqual(['Linux SLL2', 'IPv6', 'TCP']);
    expect(layers[0].summary).toBe('to us, interface 3');
    expect(valuesOf(layers[0])).toMatchObject({
      'ARPHRD Type': '772 (loopback)',
      'Link-Layer Address': 'none',
    });
  });

  it('have a problem when they are cut', () => {
    expect(look(113, new Uint8Array(15))[0].problem).toMatch(/15 of at least 16 bytes/);
    expect(look(276, new Uint8Array(19))[0].problem).toMatch(/19 of at least 20 bytes/);
  });
});

describe('null and loopback', () => {
  it.each([
    ['little-endian', 0, '02000000', 'IPv4'],
    ['big-endian', 0, '00000002', 'IPv4'],
    ["FreeBSD's IPv6", 0, '1c000000', 'IPv6'],
    ["Darwin's IPv6", 0, '0000001e', 'IPv6'],
    ['loop', 108, '00000018', 'IPv6'],
    ['another family', 0, '07000000', 'Payload'],
  ])('%s', (_name, linkType, header, protocol) => {
    const layers = look(linkType, concat(hex(header), protocol === 'IPv6' ? PACKET6 : PACKET));
    expect(layers[1].protocol).toBe(protocol);
    expect(valuesOf(layers[0])['Protocol Family']).toContain(protocol === 'Payload' ? 'not known' : protocol);
  });

  it('have a problem when they are cut', () => {
    expect(look(0, hex('0200'))[0].problem).toMatch(/2 of at least 4 bytes/);
  });
});

describe('raw', () => {
  it.each([
    [101, PACKET, ['IPv4', 'TCP']],
    [101, PACKET6, ['IPv6', 'TCP']],
    [228, PACKET, ['IPv4', 'TCP']],
    [229, PACKET6, ['IPv6', 'TCP']],
    [101, hex('0102'), ['Payload']],
  ])('link type %i', (linkType, bytes, protocols) => {
    expect(protocolsOf(look(linkType, bytes))).toEqual(protocols);
  });
});
