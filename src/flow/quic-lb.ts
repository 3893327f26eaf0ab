import { QUIC_MAX_CID } from '../wire/quic.js';
import { type CidCipher, cidCipher, QUIC_LB_KEY_LENGTH } from './quic-lb-cipher.js';

/**
 * QUIC-LB: connection IDs in which a server tells load balancers, and nobody else where there is a key, which server it
 * is.
 *
 * ```
 * | config ID (3 bits) | CID length or random bits (5) | server ID (1 .. 15 octets) | nonce (4 .. 18 octets) | ...
 *                                                      '---- plaintext, or encrypted with the key ----'
 * ```
 *
 * A server may put octets of its own behind the nonce; nothing here looks at them.
 *
 * Source: draft-ietf-quic-load-balancers-21 sections 3 (first octet) and 5 (server ID and nonce).
 */

/** Config IDs are below this one, which says that the connection ID names no server (section 3.2). */
export const QUIC_LB_UNROUTABLE_CONFIG_ID = 0b111;
export const QUIC_LB_MIN_SERVER_ID = 1;
export const QUIC_LB_MIN_NONCE = 4;
/** Octets of server ID and nonce together: all of a connection ID but the first octet. */
export const QUIC_LB_MAX_PLAINTEXT = QUIC_MAX_CID - 1;
/** Octets that hold the server ID of any configuration. */
export const QUIC_LB_MAX_SERVER_ID = QUIC_LB_MAX_PLAINTEXT - QUIC_LB_MIN_NONCE;

/** Instead of a length: the connection ID says of itself that it names no server. */
export const QUIC_LB_UNROUTABLE = -1;
/** Instead of a length: of a configuration that is not here. */
export const QUIC_LB_UNKNOWN_CONFIG = -2;
/** Instead of a length: there is less than the configuration asks for, or than the ID's own length says. */
export const QUIC_LB_TOO_SHORT = -3;

const CONFIG_ID_SHIFT = 5;
const LENGTH_OR_RANDOM_MASK = 0x1f;
const UNROUTABLE_CONFIG_ID = QUIC_LB_UNROUTABLE_CONFIG_ID;

/** One configuration, the same at load balancers and servers (section 5.3; names as in appendix A). */
export interface QuicLbConfig {
  /** Config rotation bits: 0 .. 6. Two configurations at once let keys be changed. */
  readonly configId: number;
  /** In octets, from 1. */
  readonly serverIdLength: number;
  /** In octets, from 4; at most 19 together with the server ID. */
  readonly nonceLength: number;
  /** {@link QUIC_LB_KEY_LENGTH} octets, or null: then everybody can read the server ID. */
  readonly key: Uint8Array | null;
  /** Do servers put the ID's length into the first octet? Otherwise the bits are random. */
  readonly firstOctetEncodesCidLength: boolean;
}

export type QuicLbErrorCode =
  | 'bad-config-id'
  | 'duplicate-config-id'
  | 'bad-server-id-length'
  | 'bad-nonce-length'
  | 'bad-key-length'
  | 'bad-cid-length';

/** A configuration, or what an ID is to be made of, breaks a rule of QUIC-LB. The message says which and what to do. */
export class QuicLbError extends Error {
  override readonly name = 'QuicLbError';

  constructor(
    readonly code: QuicLbErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** @param firstOctet of a connection ID; @returns 0 .. 7, see {@link QUIC_LB_UNROUTABLE_CONFIG_ID} */
export function quicLbConfigId(firstOctet: number): number {
  return firstOctet >>> CONFIG_ID_SHIFT;
}

/**
 * The length of the connection ID in octets, the first one included, as that one says: 1 .. 32. It only means something
 * where servers encode it (section 3.3). In a long header it must then be the DCID length (section 4.1).
 */
export function quicLbSelfEncodedLength(firstOctet: number): number {
  return (firstOctet & LENGTH_OR_RANDOM_MASK) + 1;
}

/** Reads server IDs from connection IDs of several configurations at once: what a load balancer does (section 5.5). */
export class QuicLbDecoder {
  /** By config ID. */
  private readonly codecs: (ConfigCodec | null)[];

  /**
   * @param configs at most one per config ID
   * @throws QuicLbError
   */
  constructor(configs: readonly QuicLbConfig[]) {
    this.codecs = new Array<ConfigCodec | null>(QUIC_LB_UNROUTABLE_CONFIG_ID).fill(null);
    for (const config of configs) {
      const codec = new ConfigCodec(config);
      if (this.codecs[config.configId] !== null) {
        throw new QuicLbError(
          'duplicate-config-id',
          `config ID ${config.configId} is there twice: a connection ID has room for no more than its number`,
        );
      }
      this.codecs[config.configId] = codec;
    }
  }

  /**
   * Any octets give a result; nothing is thrown or allocated, and nothing outside `[offset, offset + length)` is read.
   * Whether a server has that ID is for the caller to know: an ID that a
   * client made up, or that was encrypted with another key, has a server ID as well, a random one.
   * @param length octets of the ID where a long header tells, otherwise all that are left of the packet
   * @param into takes the server ID: {@link QUIC_LB_MAX_SERVER_ID} octets are room enough
   * @returns the server ID's length, or QUIC_LB_UNROUTABLE, QUIC_LB_UNKNOWN_CONFIG or QUIC_LB_TOO_SHORT
   */
  decode(data: DataView, offset: number, length: number, into: Uint8Array): number {
    if (length < 1) return QUIC_LB_TOO_SHORT;
    const firstOctet = data.getUint8(offset);
    const configId = quicLbConfigId(firstOctet);
    if (configId === UNROUTABLE_CONFIG_ID) return QUIC_LB_UNROUTABLE;
    const codec = this.codecs[configId];
    if (codec === null) return QUIC_LB_UNKNOWN_CONFIG;
    if (length < codec.cidLength) return QUIC_LB_TOO_SHORT;
    if (codec.encodesLength) {
      const claimed = quicLbSelfEncodedLength(firstOctet);
      if (claimed < codec.cidLength || claimed > length) return QUIC_LB_TOO_SHORT;
    }
    const { serverIdLength, cipher } = codec;
    if (cipher !== null) cipher.decryptInto(data, offset + 1, serverIdLength, into);
    else for (let i = 0; i < serverIdLength; i++) into[i] = data.getUint8(offset + 1 + i);
    return serverIdLength;
  }
}

/** Makes connection IDs of one configuration: what a server does (section 5.4). */
export class QuicLbEncoder {
  /** Octets of every connection ID that it writes. */
  readonly cidLength: number;
  private readonly codec: ConfigCodec;

  /** @throws QuicLbError */
  constructor(config: QuicLbConfig) {
    this.codec = new ConfigCodec(config);
    this.cidLength = this.codec.cidLength;
  }

  /**
   * @param serverId as long as configured
   * @param nonce as long as configured, and never the same twice under one key: random and unlinkable where there is
   *   none (section 9.6)
   * @param randomBits the low five bits go into the first octet, unless that encodes the length
   * @returns octets written: `cidLength`
   * @throws QuicLbError for a server ID or a nonce of another length; nothing is written then
   */
  encodeInto(
    data: DataView,
    offset: number,
    serverId: Uint8Array,
    nonce: Uint8Array,
    randomBits: number,
  ): number {
    const { configId, serverIdLength, nonceLength, cidLength, encodesLength, cipher } = this.codec;
    if (serverId.length !== serverIdLength) {
      const message = `server ID of ${serverId.length} octets: the configuration says ${serverIdLength}`;
      throw new QuicLbError('bad-server-id-length', message);
    }
    if (nonce.length !== nonceLength) {
      const message = `nonce of ${nonce.length} octets: the configuration says ${nonceLength}`;
      throw new QuicLbError('bad-nonce-length', message);
    }
    data.setUint8(offset, firstOctet(configId, encodesLength ? cidLength - 1 : randomBits));
    const serverIdAt = offset + 1;
    const nonceAt = serverIdAt + serverIdLength;
    for (let i = 0; i < serverIdLength; i++) data.setUint8(serverIdAt + i, serverId[i]);
    for (let i = 0; i < nonceLength; i++) data.setUint8(nonceAt + i, nonce[i]);
    cipher?.encryptInPlace(data, serverIdAt);
    return cidLength;
  }
}

/**
 * Writes a connection ID that names no server, for one that has no configuration (yet). It tells its own length, as it
 * must (section 3.2).
 * @param random what follows the first octet; 7 octets or more keep collisions rare, 19 fit into a connection ID
 * @returns octets written: one more
 * @throws QuicLbError for more than {@link QUIC_LB_MAX_PLAINTEXT}
 */
export function encodeUnroutableCidInto(data: DataView, offset: number, random: Uint8Array): number {
  const { length } = random;
  if (length > QUIC_LB_MAX_PLAINTEXT) {
    const message = `connection ID of ${length + 1} octets: at most ${QUIC_MAX_CID} are allowed`;
    throw new QuicLbError('bad-cid-length', message);
  }
  data.setUint8(offset, firstOctet(QUIC_LB_UNROUTABLE_CONFIG_ID, length));
  for (let i = 0; i < length; i++) data.setUint8(offset + 1 + i, random[i]);
  return 1 + length;
}

/** A configuration that was checked, with its key set up. */
class ConfigCodec {
  readonly configId: number;
  readonly serverIdLength: number;
  readonly nonceLength: number;
  /** First octet, server ID and nonce. */
  readonly cidLength: number;
  readonly encodesLength: boolean;
  readonly cipher: CidCipher | null;

  constructor(config: QuicLbConfig) {
    checkConfig(config);
    const plaintextLength = config.serverIdLength + config.nonceLength;
    this.configId = config.configId;
    this.serverIdLength = config.serverIdLength;
    this.nonceLength = config.nonceLength;
    this.cidLength = 1 + plaintextLength;
    this.encodesLength = config.firstOctetEncodesCidLength;
    this.cipher = config.key === null ? null : cidCipher(config.key, plaintextLength);
  }
}

function checkConfig({ configId, serverIdLength, nonceLength, key }: QuicLbConfig): void {
  if (!isIntegerIn(configId, 0, QUIC_LB_UNROUTABLE_CONFIG_ID - 1)) {
    throw new QuicLbError('bad-config-id', `config ID ${configId}: choose 0 to 6 (7 means unroutable)`);
  }
  const where = `config ID ${configId}`;
  if (!isIntegerIn(serverIdLength, QUIC_LB_MIN_SERVER_ID, QUIC_LB_MAX_SERVER_ID)) {
    const message = `${where}: server IDs of ${serverIdLength} octets: choose 1 to ${QUIC_LB_MAX_SERVER_ID}`;
    throw new QuicLbError('bad-server-id-length', message);
  }
  const mostNonce = QUIC_LB_MAX_PLAINTEXT - serverIdLength;
  if (!isIntegerIn(nonceLength, QUIC_LB_MIN_NONCE, mostNonce)) {
    const message = `${where}: nonces of ${nonceLength} octets: with server IDs of ${serverIdLength}, choose ${QUIC_LB_MIN_NONCE} to ${mostNonce}`;
    throw new QuicLbError('bad-nonce-length', message);
  }
  if (key !== null && key.length !== QUIC_LB_KEY_LENGTH) {
    const message = `${where}: a key of ${key.length} octets: it must have ${QUIC_LB_KEY_LENGTH}`;
    throw new QuicLbError('bad-key-length', message);
  }
}

function isIntegerIn(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}

function firstOctet(configId: number, lengthOrRandomBits: number): number {
  return (configId << CONFIG_ID_SHIFT) | (lengthOrRandomBits & LENGTH_OR_RANDOM_MASK);
}
