import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TableFollower } from '../../src/node/table-follower.js';
import { makeTable } from '../../src/table/edit.js';
import type { ForwardingTable } from '../../src/table/forwarding-table.js';
import { encodeSnapshot } from '../../src/table/snapshot.js';
import { writeTableFile } from '../../src/table/table-file.js';

/** Events in the order they come, to be waited for one by one. */
class Events {
  private readonly queue: string[] = [];
  private waiting: ((event: string) => void) | null = null;

  push(event: string): void {
    if (this.waiting !== null) {
      this.waiting(event);
      this.waiting = null;
    } else {
      this.queue.push(event);
    }
  }

  next(): Promise<string> {
    const event = this.queue.shift();
    if (event !== undefined) return Promise.resolve(event);
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }
}

function table(version: number, trafficset = 'web'): ForwardingTable {
  return makeTable({
    trafficset,
    version,
    buckets: 256,
    hashKey: Buffer.from('0001020304050607', 'hex'),
    servers: [{ dip: 0x0a000101 }, { dip: 0x0a000201 }],
  });
}

let directory = '';
let path = '';
let follower: TableFollower;
let events: Events;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-follow-'));
  path = join(directory, 'web.table');
  events = new Events();
  follower = new TableFollower(path, 'web', {
    table: (read) => events.push(`table ${read.version}`),
    refused: (reason) => events.push(`refused ${reason}`),
  });
});

afterEach(() => {
  follower.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Replaces the file at one stroke, as a control plane does. */
function replace(bytes: Uint8Array): void {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}

describe('table follower', () => {
  it('reads what is there, and every atomic replacement', async () => {
    writeTableFile(path, table(1));
    follower.start();
    expect(await events.next()).toBe('table 1');
    writeTableFile(path, table(2));
    expect(await events.next()).toBe('table 2');
    writeTableFile(path, table(3), 'json');
    expect(await events.next()).toBe('table 3');
    expect(follower.version).toBe(3);
  });

  it('waits for a file that is not there yet, even for its directory', async () => {
    rmSync(directory, { recursive: true });
    follower.start();
    expect(await events.next()).toBe('refused missing');
    mkdirSync(directory);
    writeTableFile(path, table(1));
    expect(await events.next()).toBe('table 1');
  });

  describe('refuses, keeping what is in use', () => {
    beforeEach(async () => {
      writeTableFile(path, table(5));
      follower.start();
      await events.next();
    });

    afterEach(async () => {
      expect(follower.version).toBe(5);
      writeTableFile(path, table(6));
      expect(await events.next()).toBe('table 6');
    });

    it('an empty file', async () => {
      replace(new Uint8Array());
      expect(await events.next()).toBe('refused empty');
    });

    it('a truncated file', async () => {
      replace(encodeSnapshot(table(6)).subarray(0, 1000));
      expect(await events.next()).toBe('refused truncated');
    });

    it('a file that is truncated in place', async () => {
      truncateSync(path, 100);
      expect(await events.next()).toBe('refused truncated');
    });

    it('a corrupt file', async () => {
      const bytes = encodeSnapshot(table(6));
      bytes[bytes.length - 200] ^= 1;
      replace(bytes);
      expect(await events.next()).toBe('refused checksum');
    });

    it('an older format', async () => {
      const bytes = Buffer.from(encodeSnapshot(table(6)));
      bytes.writeUInt16BE(1, bytes.readUInt16BE(8) === 2 ? 8 : 0);
      replace(bytes);
      expect(await events.next()).toBe('refused older-format');
    });

    it('something else', async () => {
      replace(readFileSync(process.execPath).subarray(0, 4096));
      expect(await events.next()).toBe('refused bad-magic');
    });

    it("another trafficset's table", async () => {
      replace(encodeSnapshot(table(6, 'dns')));
      expect(await events.next()).toBe('refused wrong-trafficset');
    });

    it('an older version', async () => {
      replace(encodeSnapshot(table(4)));
      expect(await events.next()).toBe('refused older-version');
    });

    it('the same version with other rows', async () => {
      const other = table(5);
      other.slots[1] = 0x0a000901;
      replace(encodeSnapshot(other));
      expect(await events.next()).toBe('refused same-version');
    });

    it('a file that was removed', async () => {
      rmSync(path);
      expect(await events.next()).toBe('refused missing');
    });
  });
});
