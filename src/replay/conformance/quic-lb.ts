import { z } from 'zod';
import { type QuicLbConfig, QuicLbDecoder, QuicLbEncoder, QuicLbError } from '../../flow/quic-lb.js';
import { groupOf, malformedVector, type VectorFormat, type VectorResult } from './format.js';
import { compareBytes, hexBytes, isRecord, shapeProblems } from './shape.js';

/**
 * Connection IDs of QUIC-LB. `vectors` has objects with `name`, `crBits` (the config ID), `key` or null, `serverId` and
 * `nonce`, and the `cid` that they make, whose first octet encodes its length.
 */

const shape = z.object({
  name: z.string().min(1),
  crBits: z.int(),
  key: hexBytes.nullable(),
  serverId: hexBytes,
  nonce: hexBytes,
  cid: hexBytes,
});

export const quicLbVectors: VectorFormat = {
  name: 'quic-lb',

  recognises(file): boolean {
    return isRecord(file) && file.format === 'quic-lb' && Array.isArray(file.vectors);
  },

  *run(file): Generator<VectorResult> {
    if (!isRecord(file) || !Array.isArray(file.vectors)) return;
    for (const [index, value] of file.vectors.entries()) {
      const vector = shape.safeParse(value);
      if (!vector.success) {
        const name =
          isRecord(value) && typeof value.name === 'string' && value.name !== '' ? value.name : null;
        yield malformedVector(index, name, shapeProblems(vector.error, value));
        continue;
      }
      const { name } = vector.data;
      const detail = differences(vector.data);
      yield { group: groupOf(name), name, outcome: detail.length === 0 ? 'passed' : 'failed', detail };
    }
  },
};

/** Both ways: the server's and the load balancer's. */
function differences({ crBits, key, serverId, nonce, cid }: z.infer<typeof shape>): string[] {
  const config: QuicLbConfig = {
    configId: crBits,
    serverIdLength: serverId.length,
    nonceLength: nonce.length,
    key,
    firstOctetEncodesCidLength: true,
  };
  try {
    const encoder = new QuicLbEncoder(config);
    const made = new Uint8Array(encoder.cidLength);
    encoder.encodeInto(viewOf(made), 0, serverId, nonce, 0);
    const found = new Uint8Array(serverId.length);
    const length = new QuicLbDecoder([config]).decode(viewOf(cid), 0, cid.length, found);
    return [
      ...compareBytes('connection ID', cid, made),
      ...(length < 0
        ? [`no server ID is found in the connection ID (code ${length})`]
        : compareBytes('server ID', serverId, found)),
    ];
  } catch (error) {
    if (error instanceof QuicLbError) return [error.message];
    throw error;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
