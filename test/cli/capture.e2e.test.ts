import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LINKTYPE } from '../../src/wire/link.js';
import { spawnEnclosed } from '../enclosed.js';
import { readPath } from '../io/capture/files.js';
import { enterPrivateNetwork, ip } from '../io/private-network.js';
import { describePrivileged } from '../privileged.js';

/** Real packets on interfaces of a network of our own. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLI = join(ROOT, 'dist/cli/main.js');

let directory = '';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `twohop capture` in the background. */
class Capture {
  private out = '';
  private err = '';
  private heard: () => void = () => {};
  private readonly child: ChildProcess;
  private readonly ended: Promise<Ended>;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [CLI, 'capture', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (text) => {
      this.out += text;
      this.heard();
    });
    this.child.stderr?.on('data', (text) => {
      this.err += text;
      this.heard();
    });
    const limit = setTimeout(() => this.child.kill('SIGKILL'), 30_000);
    this.ended = once(this.child, 'close').then(([code]) => {
      clearTimeout(limit);
      return { code, out: this.out, err: this.err };
    });
  }

  /** Waits until packets are captured. */
  async ready(): Promise<this> {
    await this.until(() => this.err.includes('capturing on'));
    return this;
  }

  /** Waits until it has printed so many lines. */
  async lines(count: number): Promise<this> {
    await this.until(() => this.out.split('\n').length > count);
    return this;
  }

  private async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      const more = new Promise<null>((resolve) => {
        this.heard = () => resolve(null);
      });
      const ended = await Promise.race([more, this.ended]);
      if (ended !== null && !holds()) throw new Error(`it ended with ${ended.code}: ${ended.err}`);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  end(): Promise<Ended> {
    return this.ended;
  }
}

const start = (...args: string[]) => new Capture(args).ready();

/** Sends datagrams to ports of this host. */
async function send(ports: readonly number[], text = 'payload', address = '127.0.0.1'): Promise<void> {
  const socket = createSocket('udp4');
  for (const port of ports) {
    await new Promise<void>((resolve) => socket.send(text, port, address, () => resolve()));
  }
  socket.close();
}

function tcpdump(path: string): string[] {
  const text = execFileSync('tcpdump', ['-nr', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text.trim().split('\n');
}

describePrivileged('twohop capture', ['root', 'namespaces', 'npm:cap', 'tcpdump', 'setpriv'], () => {
  beforeAll(() => {
    enterPrivateNetwork();
    directory = mkdtempSync(join(tmpdir(), 'twohop-live-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('prints a line per packet, and writes a capture that tcpdump reads', async () => {
    const path = join(directory, 'out.pcapng');
    const before = Date.now() / 1000;
    const capture = await start('-i', 'lo', '-c', '3', '-w', path, 'udp', 'dst', 'port', '7777');
    await send([9, 7777, 9, 7777, 7777, 7777]);
    const { code, out, err } = await capture.end();
    expect(err).toBe(`capturing on lo\n3 packets captured, written to ${path}\n`);
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(3);
    expect(out).toMatch(/^ +1 +0\.000000 +127\.0\.0\.1:\d+ > 127\.0\.0\.1:7777 UDP length 7/);
    expect(tcpdump(path)).toHaveLength(3);
    expect(tcpdump(path)[0]).toMatch(/IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.7777: UDP, length 7/);

    const { packets, reader, cut } = await readPath(path);
    expect(cut).toBe(null);
    expect(reader.interfaces[0]).toMatchObject({
      name: 'lo',
      linkType: LINKTYPE.ETHERNET,
      snapLength: 65_535,
    });
    const filter = reader.interfaces[0].options.find((option) => option.code === 11);
    expect(Buffer.from(filter?.value ?? []).toString()).toBe('\0udp dst port 7777');
    for (const { seconds, originalLength } of packets) {
      expect(originalLength).toBe(14 + 20 + 8 + 7);
      expect(seconds).toBeGreaterThanOrEqual(Math.floor(before) - 1);
      expect(seconds).toBeLessThanOrEqual(Date.now() / 1000 + 1);
    }
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s: the file is complete', async (signal) => {
    const path = join(directory, `${signal}.pcap`);
    const capture = await start('-i', 'lo', '-w', path, 'udp dst port 7777');
    await send([7777, 7777]);
    (await capture.lines(2)).kill(signal);
    const { code, err } = await capture.end();
    expect(err).toContain('2 packets captured');
    expect(code).toBe(0);
    expect(tcpdump(path)).toHaveLength(2);
  });

  it('stops while packets come without end', async () => {
    const path = join(directory, 'flood.pcapng');
    const capture = await start('-i', 'lo', '-q', '-w', path);
    let flooding = true;
    const flood = (async () => {
      while (flooding) {
        await send(Array(200).fill(7777));
        // Sending to this host waits for nothing; others must have their turn.
        await setImmediate();
      }
    })();
    await send(Array(1000).fill(7777));
    capture.kill('SIGINT');
    const { code, err } = await capture.end();
    flooding = false;
    await flood;
    expect(code).toBe(0);
    const count = Number(/^(\d+) packets captured/m.exec(err)?.[1]);
    const { packets, cut } = await readPath(path);
    expect(cut).toBe(null);
    expect(packets).toHaveLength(count);
  });

  it('prints JSON, or nothing', async () => {
    const capture = await start('-i', 'lo', '--json', '-c', '1', 'udp dst port 7777');
    await send([7777]);
    const { out } = await capture.end();
    expect(JSON.parse(out)).toMatchObject({
      packet: 1,
      length: 49,
      captured: 49,
      linkType: LINKTYPE.ETHERNET,
    });
    const quiet = await start('-i', 'lo', '-q', '-c', '1', 'udp dst port 7777');
    await send([7777]);
    expect(await quiet.end()).toMatchObject({ code: 0, out: '' });
  });

  it('writes to a pipe packet by packet', async () => {
    const capture = await start('-i', 'lo', '-w', '-', '-c', '2', 'udp dst port 7777');
    await send([7777, 7777]);
    const { out, err } = await capture.end();
    expect(err).toContain('2 packets captured\n');
    expect(out.slice(0, 4)).toBe('\n\r\r\n');
  });

  it('captures where there is no Ethernet: a TUN, and all interfaces', async () => {
    ip('tuntap add tun9 mode tun');
    ip('link set tun9 up');
    ip('addr add 10.9.0.1/24 dev tun9');
    const path = join(directory, 'any.pcapng');
    const capture = await start('-i', 'any', '-c', '1', '-w', path, 'udp dst port 7777');
    await send([7777]);
    expect((await capture.end()).code).toBe(0);
    expect((await readPath(path)).reader.interfaces[0].linkType).toBe(LINKTYPE.LINUX_SLL);
    // No packet reaches a TUN that nobody has open, but it has a link type all the same.
    const tun = join(directory, 'tun.pcapng');
    const quiet = await start('-i', 'tun9', '-w', tun);
    quiet.kill('SIGINT');
    expect((await quiet.end()).err).toContain('0 packets captured');
    expect((await readPath(tun)).reader.interfaces[0].linkType).toBe(LINKTYPE.RAW);
  });

  it('an interface that goes down: what was captured is written, and it says what happened', async () => {
    ip('link add gone type veth peer name far');
    ip('link set far up');
    ip('link set gone up');
    ip('addr add 10.8.0.1/24 dev gone');
    ip('neigh replace 10.8.0.2 lladdr 02:00:00:00:00:02 dev gone');
    const path = join(directory, 'gone.pcapng');
    const capture = await start('-i', 'gone', '-w', path, 'udp dst port 7777');
    await send([7777, 7777], 'payload', '10.8.0.2');
    await capture.lines(2);
    ip('link set gone down');
    const { code, err } = await capture.end();
    expect(err).toContain('2 packets captured');
    expect(err).toContain('twohop: the capture ended by itself: gone went down, or away');
    expect(code).toBe(1);
    expect(tcpdump(path)).toHaveLength(2);
  });

  it.each([
    ['no such interface', ['-i', 'nope'], 2, /^twohop: There is no interface nope: there are .*\blo\b/],
    [
      'a filter that is none',
      ['-i', 'lo', 'tcp', 'prot'],
      2,
      /The filter "tcp prot" does not compile: .*syntax/,
    ],
    [
      'a place to write that is none',
      ['-i', 'lo', '-w', '/absent/x'],
      2,
      /\/absent\/x cannot be written: ENOENT/,
    ],
    ['no interface given', [], 2, /required option '-i, --interface <name>'/],
  ])('%s', async (_name, args, code, message) => {
    const ended = await new Capture(args).end();
    expect(ended.err).toMatch(message);
    expect(ended.code).toBe(code);
  });

  it('an interface that is down', async () => {
    ip('link add asleep type veth peer name below');
    const ended = await new Capture(['-i', 'asleep']).end();
    expect(ended.err).toMatch(/^twohop: asleep cannot be captured on: .*not up/);
    expect(ended.code).toBe(2);
  });

  it('without the right to capture', () => {
    const command = [
      'setpriv',
      '--reuid',
      '65534',
      '--clear-groups',
      process.execPath,
      CLI,
      'capture',
      '-i',
      'lo',
    ];
    const run = spawnEnclosed(command);
    expect(run.stderr).toMatch(/lo cannot be captured on: .*not permitted\. This needs CAP_NET_RAW/);
    expect(run.status).toBe(1);
  });

  it('without the package', () => {
    const script = `mount -t tmpfs tmpfs "$1" && exec "$2" "$3" capture -i lo`;
    const cap = join(ROOT, 'node_modules/cap');
    const run = spawnEnclosed(['sh', '-c', script, 'sh', cap, process.execPath, CLI]);
    expect(run.stderr).toMatch(/optional package cap is not installed.*libpcap-dev.*npm install cap/);
    expect(run.status).toBe(1);
  });
});
