import { randomBytes, randomInt } from 'node:crypto';
import { type QuicLbConfig, QuicLbEncoder } from '../../flow/quic-lb.js';

/**
 * The QUIC-LB configurations of the testbed, three at once: the two ways to encrypt, and none. In the middle of a
 * rotation of keys two are in use; nothing here depends on how many.
 *
 * The keys stand here for everybody to read, so that a capture can be understood afterwards. They protect nothing.
 */
export const CONFIGURATIONS: readonly QuicLbConfig[] = [
  {
    // Server ID and nonce are shorter than a block: four passes.
    configId: 0,
    serverIdLength: 2,
    nonceLength: 6,
    key: Buffer.from('5a1f0c37d2b94e86a07313c8fe425b6d', 'hex'),
    firstOctetEncodesCidLength: false,
  },
  {
    // Exactly a block: one pass.
    configId: 1,
    serverIdLength: 2,
    nonceLength: 14,
    key: Buffer.from('c4e9217b6a305dd8190f8eb2437a5c01', 'hex'),
    firstOctetEncodesCidLength: true,
  },
  { configId: 2, serverIdLength: 2, nonceLength: 5, key: null, firstOctetEncodesCidLength: false },
];

/** What each configuration is, by its ID; for people. */
export const CONFIGURATION_NAMES: readonly string[] = ['four passes', 'one block', 'plaintext'];

/**
 * Octets of every connection ID here, whatever its configuration. quiche wants all IDs of an endpoint to be of one
 * length; QUIC-LB lets a server put octets of its own behind the nonce.
 */
export const CID_LENGTH = 17;

/** Of a server by its number: 2 octets. */
export const serverIdOf = (server: number): Buffer => Buffer.of(0x0a, server);

/** Makes a server's connection IDs: of each configuration in turn, so that every connection has IDs of several. */
export class ConnectionIds {
  private readonly encoders = CONFIGURATIONS.map((config) => new QuicLbEncoder(config));
  private turn = 0;

  constructor(private readonly serverId: Uint8Array) {}

  next(): Buffer {
    const index = this.turn++ % CONFIGURATIONS.length;
    // What the encoder leaves of these octets are the server's own.
    const id = randomBytes(CID_LENGTH);
    const nonce = randomBytes(CONFIGURATIONS[index].nonceLength);
    const view = new DataView(id.buffer, id.byteOffset, id.length);
    this.encoders[index].encodeInto(view, 0, this.serverId, nonce, randomInt(32));
    return id;
  }
}
