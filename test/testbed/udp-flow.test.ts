import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { UdpFlow } from '../../src/testbed/udp-flow.js';
import { UdpService } from '../../src/testbed/udp-service.js';
import { describePrivileged } from '../privileged.js';

/** Nothing is lost on the way: where datagrams are counted, none is to be sent again on a slow machine. */
const PATIENT_MS = 5000;
/** Where an answer is not to come. */
const IMPATIENT_MS = 100;

const running: { close(): void }[] = [];

afterEach(() => {
  for (const one of running.splice(0)) one.close();
});

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return socket;
}

const addressOf = ({ address, port }: AddressInfo) => ({ address, port });

async function service(address = '127.0.0.1') {
  const one = new UdpService('s1', { address, port: 0 });
  running.push(one);
  return one.listen();
}

/** A service that is not as it should be. @param answer null for none */
async function oddService(answer: (words: string[], message: Buffer) => string | null) {
  const socket = await bound();
  running.push(socket);
  socket.on('message', (message, from) => {
    const text = answer(message.toString('latin1').trim().split(' '), message);
    if (text !== null) socket.send(text, from.port, from.address);
  });
  return addressOf(socket.address());
}

async function open(remote: { address: string; port: number }, id = 1, answerMs = PATIENT_MS) {
  const flow = await UdpFlow.open(id, 0, remote, answerMs);
  running.push(flow);
  return flow;
}

async function countsEachFlow(address: string): Promise<void> {
  const remote = await service(address);
  const [one, other] = [await open(remote, 7), await open(remote, 8)];
  const first = { id: 7, remote, server: 's1', count: 1, tries: 1, intact: true };
  expect(await one.ask(32)).toMatchObject(first);
  expect(await other.ask(32)).toMatchObject({ id: 8, count: 1 });
  expect(await one.ask(32)).toMatchObject({ count: 2 });
  expect(await other.ask(32)).toMatchObject({ count: 2 });
}

describePrivileged('UDP service at an IPv6 address', ['ipv6'], () => {
  it('counts each flow by itself', () => countsEachFlow('::1'));
});

describe('UDP service', () => {
  it('counts each flow by itself, on sockets at the address asked', () => countsEachFlow('127.0.0.1'));

  it('keeps flows apart that begin at the same time', async () => {
    const remote = await service();
    const flows = await Promise.all(Array.from({ length: 20 }, (_, id) => open(remote, id)));
    for (const count of [1, 2, 3]) {
      const answers = await Promise.all(flows.map((flow) => flow.ask(100)));
      expect(answers.map((answer) => answer.count)).toEqual(flows.map(() => count));
    }
  });

  it('gives an account of datagrams of any length', async () => {
    const flow = await open(await service());
    for (const bytes of [20, 1472, 1473, 8000, 60_000]) {
      expect(await flow.ask(bytes)).toMatchObject({ server: 's1', intact: true, tries: 1 });
    }
  });
});

describe('UDP flow', () => {
  it('sends again until an answer comes', async () => {
    let asked = 0;
    const remote = await oddService(([token]) => (++asked < 3 ? null : `s2 1 ${token}`));
    const answer = await (await open(remote, 1, IMPATIENT_MS)).ask(32);
    expect(answer).toMatchObject({ server: 's2', intact: true });
    expect(answer.tries).toBeGreaterThanOrEqual(3);
  });

  it('takes no answer to something else for its own', async () => {
    const remote = await oddService(() => 's2 1 0123456789ab');
    const answer = await (await open(remote, 1, IMPATIENT_MS)).ask(32);
    expect(answer).toMatchObject({ server: null, intact: false });
  });

  it('notices what did not arrive as it was sent', async () => {
    const short = await oddService(([token], message) => `s2 1 ${token} ${message.length - 1} 00`);
    expect(await (await open(short)).ask(32)).toMatchObject({ server: 's2', intact: false });
    const wrong = await oddService(([token], message) => `s2 1 ${token} ${message.length} 00`);
    expect(await (await open(wrong)).ask(32)).toMatchObject({ server: 's2', intact: false });
  });
});
