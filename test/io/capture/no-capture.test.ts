import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CaptureError } from '../../../src/io/capture/errors.js';
import { CaptureReader } from '../../../src/io/capture/reader.js';
import { MemorySource } from './files.js';

/** What is no capture: the error says what it is, and what to do. */

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-no-capture-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function complaint(bytes: Uint8Array | string): Promise<string> {
  const source = new MemorySource(Buffer.from(bytes));
  try {
    await CaptureReader.from(source, 'x');
  } catch (error) {
    expect(error).toBeInstanceOf(CaptureError);
    expect(source.closed).toBe(true);
    return error instanceof CaptureError ? error.message : '';
  }
  throw new Error('it was taken for a capture');
}

const READ = 'pcap and pcapng are read, also compressed by gzip';
const CONVERT = 'convert it with editcap -F pcapng IN OUT (of Wireshark)';

describe('a file that is no capture', () => {
  it.each([
    ['', 'x is empty: nothing was captured, or it was not written out yet'],
    ['{"name": "value"}', `x is no capture, but JSON: ${READ}`],
    ['\n [1, 2]', `x is no capture, but JSON: ${READ}`],
    ['<?xml version="1.0"?>', `x is no capture, but XML or HTML: ${READ}`],
    ['0000  45 00 00 2b 00 01 00 00 40 11', /^x is no capture, but a hex dump \(text2pcap/],
    ['10:23:45.123 IP 10.0.0.1 > größer', `x is no capture, but text: ${READ}`],
    ['\x7fELF\x02\x01\x01', /but a program \(ELF\)/],
    ['#!/bin/sh\n', /but a script/],
    [
      'snoop\0\0\0\0\0\0\x02',
      `x is no capture that can be read here, but a capture of snoop (Solaris): ${CONVERT}`,
    ],
    [Buffer.from('a1b2cd34', 'hex'), /patched libpcap of the nineties.*editcap/],
    [Buffer.from('34cdb2a1', 'hex'), /patched libpcap of the nineties.*editcap/],
    [Buffer.from('28b52ffd24', 'hex'), /compressed by zstd: decompress it first/],
    ['BZh91AY&SY', /compressed by bzip2: decompress it first/],
    ['PK\x03\x04', /a ZIP archive: take the capture out/],
    [Buffer.from('895448465400', 'hex'), /a forwarding table of twohop/],
    [new Uint8Array(100), /but zeros/],
    [Buffer.from('d4c3', 'hex'), /but only 2 bytes/],
    [
      Buffer.from('deadbeef0badf00d0102030405060708', 'hex'),
      /something else, which begins with the bytes deadbeef/,
    ],
    [gzipSync('{"a": 1}'), `what is compressed in x is no capture, but JSON: ${READ}`],
    [gzipSync(''), /^what is compressed in x is empty/],
    [gzipSync(gzipSync('x')), /^what is compressed in x is no capture/],
  ])('%j', async (bytes, expected) => {
    const message = await complaint(bytes);
    if (typeof expected === 'string') expect(message).toBe(expected);
    else expect(message).toMatch(expected);
  });

  it('is a directory, or nothing, or not for us', async () => {
    await expect(CaptureReader.open(directory)).rejects.toThrow(/is a directory: name a capture file in it/);
    const absent = join(directory, 'absent.pcap');
    await expect(CaptureReader.open(absent)).rejects.toThrow(/absent\.pcap cannot be read: ENOENT/);
    await expect(CaptureReader.open(absent)).rejects.toBeInstanceOf(CaptureError);
    await expect(CaptureReader.open('/dev/null')).rejects.toThrow('/dev/null is empty');
  });

  it('is a terminal', () => {
    const reader = new URL('../../../dist/io/capture/index.js', import.meta.url);
    const script = `import('${reader}').then((c) => c.CaptureReader.open('-')).catch((e) => console.log(e.message))`;
    // script(1) gives its command a terminal for standard input.
    const command = `${process.execPath} -e "${script}"`;
    const run = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', timeout: 30_000 });
    expect(run.stdout).toContain('standard input is a terminal: pipe a capture into it');
  });
});
