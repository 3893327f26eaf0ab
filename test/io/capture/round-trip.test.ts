import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CaptureReader, CaptureRecord, commentsOf, openWriter } from '../../../src/io/capture/index.js';
import { LINKTYPE } from '../../../src/wire/link.js';
import { KATRAN_TCP4, KATRAN_UDP4 } from '../../wire/frames.js';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-capture-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe.each(['pcap', 'pcapng'])('%s', (format) => {
  it('is read as it was written', async () => {
    const path = join(directory, `round.${format}`);
    const writer = openWriter(path);
    const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
    const packets = [KATRAN_UDP4, KATRAN_TCP4].map((bytes) => Buffer.from(bytes));
    packets.forEach((bytes, i) => {
      writer.write(
        iface,
        1_700_000_000 + i,
        123_456_789,
        bytes,
        0,
        bytes.length,
        2000,
        i === 0 ? 'größer' : '',
      );
    });
    await writer.close();

    const reader = await CaptureReader.open(path);
    const record = new CaptureRecord();
    const read: unknown[] = [];
    do {
      while (reader.next(record)) {
        read.push({
          seconds: record.seconds,
          nanoseconds: record.nanoseconds,
          originalLength: record.originalLength,
          linkType: record.linkType,
          bytes: Buffer.from(record.bytes.subarray(record.offset, record.offset + record.capturedLength)),
          comments: commentsOf(record),
        });
      }
    } while (await reader.more());
    await reader.close();
    expect(reader.cut).toBe(null);
    expect(read).toEqual(
      packets.map((bytes, i) => ({
        seconds: 1_700_000_000 + i,
        nanoseconds: 123_456_789,
        originalLength: 2000,
        linkType: LINKTYPE.RAW,
        bytes,
        comments: i === 0 && format === 'pcapng' ? ['größer'] : [],
      })),
    );
    expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(execFileSync('tcpdump', ['-nr', path], { encoding: 'utf8', stdio: 'pipe' })).toContain(
      '192.168.1.1.31337 > 10.200.1.1.80: UDP',
    );
  });
});
