import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Poller, WakeEvent } from '../../src/io/poller.js';

describe('the poller', () => {
  it('waits for the descriptors it was given', () => {
    const events = [WakeEvent.create(), WakeEvent.create(), WakeEvent.create()];
    const poller = new Poller(events.map((event) => event.fd));
    expect(poller.wait(0)).toBe(0);
    events[2].signal();
    events[0].signal();
    expect(poller.wait(1000)).toBe(2);
    expect([0, 1, 2].map((i) => poller.ready(i))).toEqual([true, false, true]);
    expect(events[0].drain()).toBe(true);
    expect(poller.wait(0)).toBe(1);
    expect([0, 1, 2].map((i) => poller.ready(i))).toEqual([false, false, true]);
    for (const event of events) event.close();
  });

  it('forgets the last answer after a timeout', () => {
    const event = WakeEvent.create();
    const poller = new Poller([event.fd]);
    event.signal();
    event.signal();
    expect(poller.wait(1000)).toBe(1);
    expect(event.drain()).toBe(true);
    expect(event.drain()).toBe(false);
    expect(poller.wait(1)).toBe(0);
    expect(poller.ready(0)).toBe(false);
    event.close();
  });

  it('shows a closed descriptor as ready, so that reading it tells', () => {
    const event = WakeEvent.create();
    const poller = new Poller([event.fd]);
    event.close();
    expect(poller.wait(1000)).toBe(1);
    expect(poller.ready(0)).toBe(true);
    expect(() => event.signal()).toThrow(/write eventfd: EBADF/);
  });

  it('is woken by another thread', async () => {
    const event = WakeEvent.create();
    // A worker without TypeScript: one eventfd write through koffi, as WakeEvent.signal does it.
    const worker = new Worker(
      `const koffi = require('koffi');
       const { workerData } = require('node:worker_threads');
       const write = koffi.load('libc.so.6').func('write', 'long', ['int', 'void *', 'size_t']);
       write(workerData, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), 8);`,
      { eval: true, workerData: event.fd },
    );
    const poller = new Poller([event.fd]);
    expect(poller.wait(30_000)).toBe(1);
    expect(event.drain()).toBe(true);
    await worker.terminate();
    event.close();
  });
});
