import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeSnapshot } from '../../src/table/snapshot.js';
import { readTableFile, writeTableFile } from '../../src/table/table-file.js';
import { A, B, coded, tableOf } from './support.js';

const table = tableOf([[A, 0]]);
const newer = tableOf([[B, A]], 4);

describe('table files', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'twohop-table-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('are read back in either form, whatever they are called', () => {
    const path = join(directory, 'web.table');
    writeTableFile(path, table);
    expect(readFileSync(path)).toEqual(Buffer.from(encodeSnapshot(table)));
    expect(readTableFile(path)).toEqual(table);
    writeTableFile(path, newer, 'json');
    expect(readFileSync(path, 'utf8')).toContain('["10.0.2.1", "10.0.1.1"]');
    expect(readTableFile(path)).toEqual(newer);
    expect(readdirSync(directory)).toEqual(['web.table']);
  });

  it('are replaced at once: who has the old file open still reads the old table', () => {
    const path = join(directory, 'web.table');
    writeTableFile(path, table);
    const old = openSync(path, 'r');
    writeTableFile(path, newer);
    expect(readFileSync(old)).toEqual(Buffer.from(encodeSnapshot(table)));
    closeSync(old);
    expect(readTableFile(path).version).toBe(4);
  });

  it('are for their owner alone, as they hold the hash key; a mode that was set is kept', () => {
    const path = join(directory, 'web.table');
    writeTableFile(path, table);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o664);
    writeTableFile(path, newer);
    expect(statSync(path).mode & 0o777).toBe(0o664);
  });

  it('leave nothing behind when they cannot be written, and the old file as it was', () => {
    const path = join(directory, 'taken');
    mkdirSync(path);
    expect(() => writeTableFile(path, table)).toThrow(coded('unwritable'));
    expect(() => writeTableFile(path, table)).toThrow(`${path}: cannot be written (EISDIR`);
    expect(readdirSync(directory)).toEqual(['taken']);

    const good = join(directory, 'good');
    writeTableFile(good, table);
    expect(() => writeTableFile(good, tableOf([[A, A]]))).toThrow(coded('same-slots'));
    expect(readTableFile(good)).toEqual(table);
    expect(readdirSync(directory)).toEqual(['good', 'taken']);

    expect(() => writeTableFile(join(directory, 'no', 'such'), table)).toThrow(coded('unwritable'));
  });

  it('are refused with their path', () => {
    const path = join(directory, 'web.table');
    expect(() => readTableFile(path)).toThrow(coded('unreadable'));
    expect(() => readTableFile(path)).toThrow(`${path}: cannot be read (ENOENT: no such file or directory)`);
    expect(() => readTableFile(directory)).toThrow(coded('unreadable'));
    const cases: [string, Uint8Array | string][] = [
      ['empty', ''],
      ['bad-magic', 'hello'],
      ['bad-json', ' {"format": '],
      ['truncated', encodeSnapshot(table).subarray(0, 50)],
    ];
    for (const [code, content] of cases) {
      writeFileSync(path, content);
      expect(() => readTableFile(path), code).toThrow(coded(code));
      expect(() => readTableFile(path), code).toThrow(`${path}: `);
    }
  });
});
