import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replayCommand } from '../../src/cli/replay.js';
import { commentsOf } from '../../src/io/capture/options.js';
import { CaptureReader } from '../../src/io/capture/reader.js';
import { CaptureRecord } from '../../src/io/capture/record.js';
import { openWriter } from '../../src/io/capture/writer.js';
import { parsePacket } from '../../src/replay/script/packet-script.js';
import { writeFleetFiles } from './fleet-files.js';
import { runCommand } from './run.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const PACKETS = [
  'tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN',
  'tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK seq 1001',
  'tcp 198.51.100.7:40000 > 192.0.2.1:81 SYN',
  'udp 198.51.100.7:1 > 192.0.2.1:80 fragment 0+ data 8',
  'tcp [2001:db8:c::7]:40000 > [2001:db8:100::1]:80 SYN',
];

let directory: string;
const path = (name: string) => join(directory, name);
const replay = (...words: string[]) =>
  runCommand(replayCommand(), [path('in.pcap'), '--config', path('cluster.yaml'), ...words]);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-replay-'));
  writeFleetFiles(directory);
  await writeCapture('in.pcap', PACKETS.map(parsePacket));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function writeCapture(name: string, packets: readonly Uint8Array[], linkType = 101): Promise<void> {
  const writer = openWriter(path(name));
  const iface = writer.addInterface({ linkType });
  for (const [second, bytes] of packets.entries()) {
    writer.write(iface, second, 0, Buffer.from(bytes), 0, bytes.length, bytes.length, '');
  }
  await writer.close();
}

/** Interface name, bytes in hex, and comment of each packet. */
async function readBack(name: string): Promise<Array<{ iface: string; hex: string; comment: string }>> {
  const reader = await CaptureReader.open(path(name));
  const record = new CaptureRecord();
  const found = [];
  do {
    while (reader.next(record)) {
      const { bytes, offset, capturedLength } = record;
      found.push({
        iface: reader.interfaces[record.interface].name,
        hex: bytes.toString('hex', offset, offset + capturedLength),
        comment: commentsOf(record).join('\n'),
      });
    }
  } while (await reader.more());
  expect(reader.cut).toBe(null);
  await reader.close();
  return found;
}

describe('twohop replay', () => {
  it('sums up what the path made of the packets', async () => {
    const { code, out } = await replay('--stage', 'journey');
    expect(code).toBe(0);
    expect(out).toMatch(/s1 +│ forward +│ web +│ forward +│ +3 │/);
    expect(out).toMatch(/s2 +│ redirect +│ web +│ accept_syn +│ +2 │/);
    expect(out).toContain('accepted at s2: 3 packets (3 after 1 hop)');
    expect(out).toMatch(/5 packets, 216 bytes\n$/);
  });

  it('writes what comes out, each packet with its reason', async () => {
    expect(await replay('--stage', 'journey', '-w', path('out.pcapng'))).toMatchObject({ code: 0, err: '' });
    const found = await readBack('out.pcapng');
    expect(found.map(({ iface }) => iface)).toEqual([
      's1 underlay',
      's2 kernel',
      's1 underlay',
      's2 kernel',
      's1 underlay',
      's2 kernel',
    ]);
    expect(found[1].hex).toBe(Buffer.from(parsePacket(PACKETS[0])).toString('hex'));
    expect(found[0].comment).toMatch(
      /^s1: forward: wrapped and sent to the first hop; trafficset web; TCP 198.51.100.7:40000 > 192.0.2.1:80 SYN; key four-tuple; hash 0x[0-9a-f]{8}; bucket \d+ of 16; first hop 10.0.2.1 \(s2\), second hop 10.0.3.1 \(s3\)$/,
    );
    expect(found[3].comment).toContain('s2: accept_established: this server has a socket for the flow');
    const listing = execFileSync('tcpdump', ['-nr', path('out.pcapng')], { encoding: 'utf8', stdio: 'pipe' });
    expect(listing.trim().split('\n')).toHaveLength(6);
  });

  it('keeps what is passed and dropped only when asked to, on a copy of its interface', async () => {
    await replay('--stage', 'forward', '--keep-all', '-w', path('all.pcapng'));
    const found = await readBack('all.pcapng');
    expect(found.map(({ comment }) => comment.split(':')[1].trim())).toEqual([
      'forward',
      'forward',
      'pass_no_service',
      'pass_no_service',
      'forward',
    ]);
    expect(found[2].hex).toBe(Buffer.from(parsePacket(PACKETS[2])).toString('hex'));
  });

  it('keeps the comments that packets came with, and adds its own', async () => {
    const writer = openWriter(path('noted.pcapng'));
    const iface = writer.addInterface({ linkType: 101, name: 'eth7' });
    const bytes = Buffer.from(parsePacket(PACKETS[0]));
    writer.write(iface, 1, 2, bytes, 0, bytes.length, bytes.length, 'the one that matters');
    await writer.close();
    const words = [path('noted.pcapng'), '--config', path('cluster.yaml'), '--stage', 'journey'];
    await runCommand(replayCommand(), [...words, '-w', path('kept.pcapng')]);
    const found = await readBack('kept.pcapng');
    expect(found.map(({ comment }) => comment.split(/\n|: /).slice(0, 3))).toEqual([
      ['the one that matters', 's1', 'forward'],
      ['the one that matters', 's2', 'accept_syn'],
    ]);
  });

  it('writes pcap without comments, and no comments when not asked to', async () => {
    expect((await replay('-w', path('out.pcap'))).code).toBe(0);
    expect((await readBack('out.pcap')).map(({ comment }) => comment)).toEqual(['', '', '']);
    await replay('--no-comments', '-w', path('bare.pcapng'));
    expect((await readBack('bare.pcapng')).map(({ comment }) => comment)).toEqual(['', '', '']);
  });

  it('prints a line per packet as JSON, and the summary beside it', async () => {
    const { out, err } = await replay('--json', '--stage', 'journey', '--as', 's3');
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ packet, end, server }) => [packet, end, server])).toEqual([
      [1, 'accepted', 's2'],
      [2, 'accepted', 's2'],
      [3, 'passed', 's3'],
      [4, 'passed', 's3'],
      [5, 'accepted', 's2'],
    ]);
    expect(lines[0].steps[0]).toMatchObject({ server: 's3', lookup: { firstHop: { server: 's2' } } });
    expect(err).toContain('5 packets');
  });

  it('takes another table, and sockets from a file', async () => {
    writeFileSync(
      path('sockets.yaml'),
      '"*": { listen: ["tcp *:80"] }\ns1: { flows: ["tcp 192.0.2.1:80 198.51.100.7:40000"] }\n',
    );
    const { out } = await replay(
      '--json',
      '--stage',
      'journey',
      '--as',
      's2',
      '--table',
      path('other.table'),
      '--sockets',
      path('sockets.yaml'),
    );
    const [, ack] = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ack.steps.map((step: { verdict: string }) => step.verdict)).toEqual([
      'forward',
      'accept_established',
    ]);
  });

  it.each([
    [['--as', 's9'], /there is no server named s9: name one of s1, s2, s3/],
    [['--stage', 'sideways'], /Allowed choices are forward, redirect, journey/],
    [['--table', '/nowhere'], /\/nowhere: cannot be read/],
    [['--sockets', '/nowhere'], /\/nowhere/],
    [['-w', '/nowhere/out.pcapng'], /\/nowhere\/out.pcapng/],
  ])('%j: is refused', async (words, message) => {
    const { code, err } = await replay(...words);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('says where a sockets file is wrong', async () => {
    writeFileSync(path('bad.yaml'), 's1: { listen: ["tcp 80"], flows: ["tcp 1.2.3.4:80 ::1:90"] }\ns7: {}\n');
    const { code, err } = await replay('--sockets', path('bad.yaml'));
    expect(code).toBe(2);
    expect(err).toMatch(/bad.yaml:1:\d+: s1.listen\[0\]: "tcp 80" is no listener/);
    expect(err).toMatch(/bad.yaml:2:\d+: s7: there is no server named s7/);
  });

  it('processes a cut capture up to there, warns, and ends with 1', async () => {
    writeFileSync(path('cut.pcap'), readFileSync(path('in.pcap')).subarray(0, -3));
    const { code, out, err } = await runCommand(replayCommand(), [
      path('cut.pcap'),
      '--config',
      path('cluster.yaml'),
    ]);
    expect(code).toBe(1);
    expect(out).toContain('4 packets');
    expect(err).toMatch(/cut.pcap: .*byte/);
  });

  it('leaves nothing behind where the input is no capture', async () => {
    const { code, err } = await runCommand(replayCommand(), [
      path('cluster.yaml'),
      '--config',
      path('cluster.yaml'),
      '-w',
      path('never.pcapng'),
    ]);
    expect([code, err]).toEqual([2, expect.stringMatching(/cluster.yaml is /)]);
    expect(readdirSync(directory).filter((name) => name.includes('never'))).toEqual([]);
  });
});

describe('twohop replay on standard input', () => {
  const start = (...words: string[]) =>
    spawn(process.execPath, [CLI, 'replay', '-', '--config', path('cluster.yaml'), ...words]);

  it('reads a pipe to its end', async () => {
    const child = start('--stage', 'journey');
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stdin.end(readFileSync(path('in.pcap')));
    await once(child, 'close');
    expect(child.exitCode).toBe(0);
    expect(out).toContain('5 packets');
  });

  it('ends cleanly on SIGINT while the pipe is silent: the output is whole', async () => {
    const child = start('--json', '-w', path('live.pcapng'));
    let out = '';
    child.stdin.write(readFileSync(path('in.pcap')));
    // All five lines are out: everything that was sent has been through the path.
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (data) => {
        out += data;
        if (out.split('\n').length > PACKETS.length) resolve();
      });
    });
    child.kill('SIGINT');
    await once(child, 'close');
    expect(child.exitCode).toBe(0);
    expect(await readBack('live.pcapng')).toHaveLength(3);
    expect(readdirSync(directory).filter((name) => name.includes('live') && name !== 'live.pcapng')).toEqual(
      [],
    );
  });
});
