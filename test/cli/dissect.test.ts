import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWriter } from '../../src/io/capture/writer.js';
import { LINKTYPE } from '../../src/wire/link.js';
import { makePacket, makeTooBig, wrapPacket } from '../path/packets.js';

/** The real tool, as the shell starts it: what becomes of pipes is part of what it does. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

function dissect(words: readonly string[], input?: Buffer): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, 'dissect', ...words], {
    encoding: 'utf8',
    // Some environments ask for colours in any pipe.
    env: { ...process.env, CI: 'true', FORCE_COLOR: undefined, NO_COLOR: undefined },
    ...(input === undefined ? {} : { input }),
  });
}

const PACKETS = [
  wrapPacket(makePacket(), { source: '10.0.1.1', destination: '10.0.2.1', hops: ['10.0.3.1'] }),
  makePacket({ version: 6, protocol: 'udp' }),
  makeTooBig(makePacket(), 1400, 8),
];
const LINES = [
  '10.0.1.1 > 10.0.2.1 GUE hops [*10.0.3.1] | 198.51.100.7:40000 > 192.0.2.10:80 TCP SYN seq 1000 win 65535 length 4',
  '[2001:db8:c::7]:40000 > [2001:db8:100::10]:80 UDP length 4',
  '203.0.113.1 > 198.51.100.7 ICMP fragmentation needed mtu 1400 about 198.51.100.7:40000 > 192.0.2.10:80 TCP',
];
const HEX = Buffer.from(PACKETS[1]).toString('hex');

let directory = '';
let capture = '';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-dissect-'));
  capture = join(directory, 'in.pcapng');
  await write(capture, PACKETS);
});
afterAll(() => rmSync(directory, { recursive: true }));

async function write(path: string, packets: readonly Uint8Array[], missing = 0): Promise<void> {
  const writer = openWriter(path);
  const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
  packets.forEach((packet, index) => {
    const bytes = Buffer.from(packet);
    const here = bytes.length - missing;
    const comment = index === 0 ? 'forwarded\nto s2' : '';
    writer.write(iface, 1_700_000_000 + index, 250_000_000 * index, bytes, 0, here, bytes.length, comment);
  });
  await writer.close();
}

describe('twohop dissect', () => {
  it('prints a line per packet: number, seconds since the first, what it says', () => {
    const { stdout, stderr, status } = dissect([capture]);
    expect(stdout).toBe(
      [
        `     1    0.000000  ${LINES[0]}`,
        `     2    1.250000  ${LINES[1]}`,
        `     3    2.500000  ${LINES[2]}`,
        '',
      ].join('\n'),
    );
    expect([stderr, status]).toEqual(['', 0]);
  });

  it('reads standard input', () => {
    const { stdout, status } = dissect(['-'], readFileSync(capture));
    expect(stdout.split('\n')).toHaveLength(4);
    expect(status).toBe(0);
  });

  it('stops after -c packets, and shows --only one', () => {
    expect(dissect([capture, '-c', '2']).stdout.split('\n')).toHaveLength(3);
    expect(dissect([capture, '--only', '2']).stdout).toBe(`     2    1.250000  ${LINES[1]}\n`);
  });

  it('--only a packet that there is not is an error', () => {
    const { stdout, stderr, status } = dissect([capture, '--only', '4']);
    expect(stdout).toBe('');
    expect(stderr).toContain('there is no packet 4: it has 3');
    expect(status).toBe(2);
  });

  it('prints trees, with the comments of the capture', () => {
    const lines = dissect([capture, '--tree']).stdout.split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'Packet 1, 0.000000 s, 84 bytes',
      '  # forwarded',
      '  # to s2',
      '  IPv4 10.0.1.1 > 10.0.2.1 (bytes 0-83)',
    ]);
    expect(lines).toContain('      GUE hops [*10.0.3.1] (bytes 28-83)');
    expect(lines).toContain('           36  0a000301  Hop 0      10.0.3.1 (next)');
    expect(lines.filter((line) => line.startsWith('Packet'))).toHaveLength(3);
    expect(lines[lines.indexOf('Packet 2, 1.250000 s, 52 bytes') - 1]).toBe('');
  });

  it('prints JSON', () => {
    const packets = dissect([capture, '--json'])
      .stdout.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(packets).toHaveLength(3);
    expect(packets[0]).toMatchObject({
      packet: 1,
      time: '1700000000.000000000',
      length: 84,
      captured: 84,
      linkType: 101,
      comments: ['forwarded\nto s2'],
      line: LINES[0],
    });
    expect(packets[2]).toMatchObject({ time: '1700000002.500000000', relative: '2.500000', comments: [] });
    expect(packets[2].layers.map((layer: { protocol: string }) => layer.protocol)).toEqual([
      'IPv4',
      'ICMP',
      'IPv4',
      'TCP',
    ]);
  });

  it('says what of a packet was cut by the snap length', async () => {
    const path = join(directory, 'short.pcap');
    await write(path, [makePacket({ payload: 100 })], 90);
    const line =
      '198.51.100.7:40000 > 192.0.2.10:80 TCP SYN seq 1000 win 65535 length 100 (90 bytes missing)';
    expect(dissect([path]).stdout).toBe(`     1    0.000000  ${line}\n`);
    expect(dissect([path, '--tree']).stdout).toMatch(/^Packet 1, 0\.000000 s, 140 bytes, 50 captured\n/);
  });

  it('shows what lies before the end of a file that was cut, and fails', () => {
    const path = join(directory, 'cut.pcapng');
    writeFileSync(path, readFileSync(capture));
    truncateSync(path, readFileSync(capture).length - 40);
    const { stdout, stderr, status } = dissect([path]);
    expect(stdout.split('\n')).toHaveLength(3);
    expect(stderr).toMatch(/^twohop: .*cut\.pcapng: the file ends at byte /);
    expect(status).toBe(1);
  });

  it('takes one packet in hexadecimal or base64', () => {
    expect(dissect(['--hex', HEX]).stdout).toBe(`${LINES[1]}\n`);
    const spaced = HEX.replaceAll(/(..)/g, '$1:').slice(0, -1);
    expect(dissect(['--hex', spaced]).stdout).toBe(`${LINES[1]}\n`);
    expect(dissect(['--base64', Buffer.from(PACKETS[2]).toString('base64')]).stdout).toBe(`${LINES[2]}\n`);
    const frame = `020000000001020000000002${'86dd'}${HEX}`;
    expect(dissect(['--hex', frame]).stdout).toBe(`${LINES[1]}\n`);
    expect(dissect(['--hex', frame.replace(/^02/, '42'), '--link', 'ethernet']).stdout).toBe(`${LINES[1]}\n`);
    expect(dissect(['--hex', HEX, '--tree']).stdout).toMatch(/^IPv6 2001:db8:c::7 > /);
    expect(JSON.parse(dissect(['--hex', HEX, '--json']).stdout)).toMatchObject({
      linkType: 101,
      line: LINES[1],
    });
  });

  it('knows GUE on another port', () => {
    const packet = Buffer.from(wrapPacket(makePacket(), { port: 1234 })).toString('hex');
    expect(dissect(['--hex', packet]).stdout).toContain(':1234 UDP length');
    expect(dissect(['--hex', packet, '--gue-port', '1234']).stdout).toContain(' GUE no hops | ');
  });

  it.each([
    [['README.md'], /README\.md is /],
    [['/nowhere.pcap'], /nowhere\.pcap cannot be read/],
    [[], /give a capture, or one packet/],
    [['in.pcap', '--hex', '00'], /give a capture, or one packet/],
    [['in.pcap', '--link', 'raw'], /--link belongs to --hex/],
    [['--hex', '450'], /even number of hexadecimal digits/],
    [['--base64', '***'], /base64/],
    [['in.pcap', '--tree', '--json'], /cannot be used with/],
    [['in.pcap', '-c', '0'], /whole number from 1/],
    [['in.pcap', '--gue-port', '65536'], /whole number from 1 to 65535/],
  ])('refuses %j', (words, message) => {
    const { stdout, stderr, status } = dissect(words);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  it('ends quietly when nobody reads on', async () => {
    const path = join(directory, 'long.pcap');
    await write(
      path,
      Array.from({ length: 30_000 }, () => PACKETS[0]),
    );
    const child = spawn(process.execPath, [MAIN, 'dissect', path], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += String(text);
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = await once(child, 'close');
    expect([code, errors]).toEqual([0, '']);
  });

  it('shows packets of a pipe as they come', async () => {
    const child = spawn(process.execPath, [MAIN, 'dissect', '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const bytes = readFileSync(capture);
    child.stdin.write(bytes.subarray(0, bytes.length - 10));
    const [text] = await once(child.stdout, 'data');
    expect(String(text)).toContain(LINES[0]);
    child.stdin.end(bytes.subarray(bytes.length - 10));
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
  });

  it('helps, with an example', () => {
    expect(dissect(['--help']).stdout).toContain('twohop dissect in.pcapng --only 12 --tree');
  });
});
