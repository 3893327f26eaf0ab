import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parsePeers } from '../../src/testbed/wireguard/dump.js';
import { newKeyPair } from '../../src/testbed/wireguard/keys.js';
import { sessionSet } from '../../src/testbed/wireguard/session-publisher.js';
import { checksumNeutralId } from '../../src/testbed/wireguard/stamp.js';
import { describePrivileged } from '../privileged.js';
import { slowChecksum } from '../wire/slow-checksum.js';

describe('what wg shows', () => {
  it('is read peer by peer, without the line of the interface', () => {
    const dump = [
      ['private', 'public', '51820', 'off'],
      ['KEY1=', '(none)', '198.51.100.3:20001', '10.77.1.1/32', '1700000000', '148', '92', '1'],
      ['KEY2=', '(none)', '(none)', '10.77.1.2/32', '0', '0', '0', 'off'],
    ];
    expect(parsePeers(`${dump.map((columns) => columns.join('\t')).join('\n')}\n`)).toEqual([
      {
        publicKey: 'KEY1=',
        endpoint: '198.51.100.3:20001',
        latestHandshake: 1_700_000_000,
      },
      { publicKey: 'KEY2=', endpoint: null, latestHandshake: 0 },
    ]);
  });
});

describe('the session set of a WireGuard service', () => {
  const now = 1_700_000_000;
  const vips = { vips: ['192.0.2.1', '2001:db8:100::1'], port: 51820 };
  const peer = (publicKey: string, endpoint: string | null, age: number) => ({
    publicKey,
    endpoint,
    latestHandshake: now - age,
  });

  it('names sessions by clientid where there is one, by 4-tuple where not, in order', () => {
    const peers = [
      peer('stock', '198.51.100.3:20001', 5),
      peer('warp', '198.51.100.5:20002', 5),
      peer('stock6', '[2001:db8:c:3::1]:20003', 5),
    ];
    expect(sessionSet(peers, new Map([['warp', '0a0b0c']]), vips, now)).toBe(
      [
        '0a0b0c',
        'udp 198.51.100.3:20001 > 192.0.2.1:51820',
        'udp [2001:db8:c:3::1]:20003 > [2001:db8:100::1]:51820',
        '',
      ].join('\n'),
    );
  });

  it('leaves out who had no handshake, or none for three minutes', () => {
    const ids = new Map([
      ['young', '000001'],
      ['old', '000002'],
      ['never', '000003'],
    ]);
    const peers = [peer('young', null, 179), peer('old', null, 180), peer('never', null, now)];
    expect(sessionSet(peers, ids, vips, now)).toBe('000001\n');
  });

  it('is empty without sessions', () => {
    expect(sessionSet([peer('never', null, now)], new Map(), vips, now)).toBe('');
  });
});

describe('checksum-neutral clientids', () => {
  it('change no checksum', () => {
    for (let n = 1; n <= 255; n++) {
      const message = Buffer.from(`04${checksumNeutralId(n)}0123456789abcdef`, 'hex');
      const cleared = Buffer.from(message);
      cleared.fill(0, 1, 4);
      expect(slowChecksum(message)).toBe(slowChecksum(cleared));
    }
  });

  it('are different, and none of them is zero', () => {
    const ids = Array.from({ length: 255 }, (_, index) => checksumNeutralId(index + 1));
    expect(new Set(ids).size).toBe(255);
    expect(ids.every((id) => /^[0-9a-f]{6}$/.test(id) && id !== '000000')).toBe(true);
  });
});

describePrivileged('key pairs', ['wg'], () => {
  it('are those of wg', () => {
    const { privateKey, publicKey } = newKeyPair();
    expect(spawnSync('wg', ['pubkey'], { input: privateKey, encoding: 'utf8' }).stdout.trim()).toBe(
      publicKey,
    );
  });
});
