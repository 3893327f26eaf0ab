import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QUIC_LB_MAX_SERVER_ID, QuicLbDecoder, quicLbConfigId } from '../../src/flow/quic-lb.js';
import { makeCertificate } from '../../src/testbed/quic/certificate.js';
import {
  CID_LENGTH,
  CONFIGURATIONS,
  ConnectionIds,
  serverIdOf,
} from '../../src/testbed/quic/configurations.js';
import { ServedConnection } from '../../src/testbed/quic/connection.js';
import { HTTP3, RequestBody, responseWith } from '../../src/testbed/quic/http3.js';
import { loadQuiche } from '../../src/testbed/quic/library.js';
import { NarrowLink } from '../../src/testbed/quic/narrow-link.js';
import { clientIdOf, seedOf } from '../../src/testbed/quic/plan.js';
import { encodeQuicVarintInto } from '../../src/wire/quic.js';
import { describePrivileged } from '../privileged.js';
import { toHex } from '../wire/bytes.js';

/** What the QUIC servers of the testbed are made of; the servers themselves run in quic.test.ts. */

function frame(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(16);
  const view = new DataView(head.buffer, head.byteOffset);
  const typeSize = encodeQuicVarintInto(view, 0, type);
  const lengthSize = encodeQuicVarintInto(view, typeSize, payload.length);
  return Buffer.concat([head.subarray(0, typeSize + lengthSize), payload]);
}

describe('the body of an HTTP/3 request', () => {
  it('is what the DATA frames hold, however the stream is cut', () => {
    const frames = fc.array(
      fc.record({ type: fc.constantFrom(0, 0, 1, 0x21, 0x4040), payload: fc.uint8Array({ maxLength: 300 }) }),
    );
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }), (list, cuts) => {
        const stream = Buffer.concat(list.map(({ type, payload }) => frame(type, payload)));
        const body = new RequestBody();
        let cut = 0;
        for (let at = 0; at < stream.length; cut++) {
          const size = cuts[cut % cuts.length];
          body.push(stream.subarray(at, at + size));
          at += size;
        }
        const data = Buffer.concat(list.filter(({ type }) => type === 0).map(({ payload }) => payload));
        expect(body.received).toBe(data.length);
        expect(body.digest()).toBe(createHash('sha256').update(data).digest('hex'));
      }),
    );
  });

  it('is read from a response as well', () => {
    const content = randomBytes(20_000);
    const body = new RequestBody();
    body.push(responseWith(content));
    expect(body.digest()).toBe(createHash('sha256').update(content).digest('hex'));
  });
});

describe("a server's connection IDs", () => {
  it('name it, in every configuration in turn', () => {
    const ids = new ConnectionIds(serverIdOf(3));
    const decoder = new QuicLbDecoder(CONFIGURATIONS);
    const into = new Uint8Array(QUIC_LB_MAX_SERVER_ID);
    const made = Array.from({ length: 30 }, () => ids.next());
    for (const id of made) {
      expect(id.length).toBe(CID_LENGTH);
      const length = decoder.decode(new DataView(id.buffer, id.byteOffset, id.length), 0, id.length, into);
      expect(toHex(into.subarray(0, length))).toBe('0a03');
    }
    expect(made.slice(0, 4).map((id) => quicLbConfigId(id[0]))).toEqual([0, 1, 2, 0]);
    expect(new Set(made.map(toHex)).size).toBe(made.length);
  });
});

describe("a client's connection ID", () => {
  it('tells its seed, and that of another client does not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 - 1 }), (seed) => {
        expect(seedOf(clientIdOf(seed))).toBe(seed);
      }),
    );
    expect(seedOf('f1d94e47d1a7e7a3')).toBe(0);
    expect(seedOf('')).toBe(0);
  });
});

describe('a narrow link', () => {
  it('lets a burst through at once, keeps some back, and loses the rest', () => {
    const link = new NarrowLink('slow');
    const arrived: number[] = [];
    for (let n = 0; n < 100; n++) link.pass(() => arrived.push(n));
    const burst = arrived.length;
    expect(arrived).toEqual(Array.from({ length: burst }, (_, index) => index));
    link.setPace('fast');
    expect(arrived.length).toBeGreaterThan(burst);
    expect(arrived.length).toBeLessThan(100);
    link.pass(() => arrived.push(-1));
    expect(arrived.at(-1)).toBe(-1);
  });
});

describePrivileged('a served connection', ['openssl', 'npm:@matrixai/quic-linux-x64'], () => {
  it('outlives what its client resets', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'twohop-quic-'));
    const { key, certificate } = await makeCertificate(directory, 's1');
    rmSync(directory, { recursive: true });
    const { Config, Connection } = await loadQuiche();
    const config = Config.withBoringSslCtx(false, true, null, [key], [certificate], null);
    config.setApplicationProtos([HTTP3]);
    config.setInitialMaxData(1 << 20);
    config.setInitialMaxStreamDataBidiLocal(1 << 20);
    config.setInitialMaxStreamDataBidiRemote(1 << 20);
    config.setInitialMaxStreamDataUni(1 << 20);
    config.setInitialMaxStreamsBidi(8);
    config.setInitialMaxStreamsUni(8);

    const [at, from] = ['192.0.2.1', '198.51.100.3'].map((host) => ({ host, port: 443 }));
    const [clientId, serverId] = [randomBytes(CID_LENGTH), randomBytes(CID_LENGTH)];
    const client = Connection.connect(null, clientId, from, at, config);
    const response = Buffer.from('response');
    const connection = new ServedConnection({
      quiche: Connection.accept(serverId, null, at, from, config),
      issueId: () => randomBytes(CID_LENGTH),
      send: (datagram) => client.recv(datagram, { from: at, to: from }),
      response,
      client: toHex(clientId),
      firstId: toHex(serverId),
      local: { address: at.host, port: at.port },
      peer: { address: from.host, port: from.port },
    });
    const exchange = (): void => {
      const datagram = new Uint8Array(1500);
      for (let made = client.send(datagram); made !== null; made = client.send(datagram)) {
        connection.receive(datagram.slice(0, made[0]), { address: from.host, port: from.port }, null);
      }
    };
    while (!connection.report().established) exchange();
    const [WRITE, ERROR] = [1, 0x10c];
    client.streamSend(0, Buffer.from('the beginning'), false);
    exchange();
    client.streamShutdown(0, WRITE, ERROR);
    exchange();
    expect(connection.report().digest).toBe(null);

    client.streamSend(4, Buffer.alloc(0), true);
    exchange();
    expect(connection.report().digest).toBe(new RequestBody().digest());
    exchange();
    const piece = new Uint8Array(100);
    expect(client.streamRecv(4, piece)).toEqual([response.length, true]);
    client.close(true, ERROR, Buffer.alloc(0));
    exchange();
  });
});
