import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryServer, MemoryStore } from '../../src/store/memory.js';
import { waitUntil } from '../../src/testbed/wait.js';
import { bytes, followed, put, storeContract } from './contract.js';

let server = new MemoryServer();
beforeEach(() => {
  server = new MemoryServer();
});

storeContract('the memory store', async () => server.open());

describe('the memory store', () => {
  it('refuses everything while it is stopped, and tells followers all there is after', async () => {
    const store = server.open();
    const told = await followed(store, '');
    server.stop('off');
    await expect(store.get('a')).rejects.toMatchObject({ code: 'unavailable', message: 'off' });
    await expect(store.transact(put('a', '1'))).rejects.toMatchObject({ code: 'unavailable' });
    server.start();
    await store.transact(put('a', '1'));
    await waitUntil('the change', () => told.known.has('a'));
    expect(told.availability).toEqual([false, true]);
    expect(told.resets.length).toBe(2);
  });

  it('tells followers when its data is lost', async () => {
    const store = new MemoryStore();
    await store.transact(put('a', '1'));
    const told = await followed(store, '');
    store.server.loseData();
    await waitUntil('a second reset', () => told.resets.length === 2);
    expect(told.object).toEqual({});
    expect(await store.transact(put('a', '1'))).toEqual({ done: true, revision: 1 });
  });

  describe('by the clock', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    it('ends the lease of a client that is cut off, exactly when the client may no longer count on it', async () => {
      const [holder, other] = [server.open(), server.open()];
      const lease = await holder.lease(2);
      await holder.transact({ puts: [{ key: 'leader', value: bytes('one'), lease }] });
      holder.cutOff();
      await vi.advanceTimersByTimeAsync(1_999);
      expect(lease.valid).toBe(true);
      expect(await other.get('leader')).not.toBe(null);
      await vi.advanceTimersByTimeAsync(1);
      expect(lease.valid).toBe(false);
      expect(await other.get('leader')).toBe(null);
      let lost = false;
      void lease.lost.then(() => {
        lost = true;
      });
      await vi.advanceTimersByTimeAsync(1_000);
      expect(lost).toBe(false);
      holder.reconnect();
      await vi.advanceTimersByTimeAsync(1_000);
      expect(lost).toBe(true);
    });

    it('keeps the lease of a client that is back in time', async () => {
      const [holder, other] = [server.open(), server.open()];
      const lease = await holder.lease(2);
      await holder.transact({ puts: [{ key: 'leader', value: bytes('one'), lease }] });
      holder.cutOff();
      await vi.advanceTimersByTimeAsync(1_500);
      holder.reconnect();
      await vi.advanceTimersByTimeAsync(10_000);
      expect(lease.valid).toBe(true);
      expect(await other.get('leader')).not.toBe(null);
    });
  });
});
