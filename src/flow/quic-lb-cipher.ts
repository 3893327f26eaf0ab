import { AES_128_KEY, AES_BLOCK, Aes128 } from './aes-128.js';

/**
 * What hides a server ID and its nonce in a connection ID: AES-128-ECB over exactly one block, or four passes of it for
 * any other length. Only the octets behind the first one are touched.
 *
 * The four passes are a Feistel network. Both halves of the octets have the same length; where the number of octets is
 * odd, the halves share the middle octet: its high four bits are the last of the left half, its low four bits the first
 * of the right half, and the bits that are not a half's own are zero in it.
 *
 * ```
 * octets   31 44 1a 9c 69 c2 75        7, odd
 * left     31 44 1a 90
 * right             0c 69 c2 75
 * ```
 *
 * Nothing is allocated per connection ID.
 *
 * Source: draft-ietf-quic-load-balancers-21 sections 5.4.1, 5.4.2, 5.5.1 and 5.5.2.
 */

export const QUIC_LB_KEY_LENGTH = AES_128_KEY;

const BLOCK = AES_BLOCK;

/** Most octets of one half: of 19, rounded up. */
const MAX_HALF_LEN = 10;
// Where expand() puts its arguments (section 5.4.2.2).
const EXPAND_AT_LENGTH = 14;
const EXPAND_AT_PASS = 15;

/** The cipher of one configuration with a key. */
export interface CidCipher {
  /** Encrypts server ID and nonce, which start at `offset`, where they are. */
  encryptInPlace(data: DataView, offset: number): void;
  /**
   * Decrypts the ciphertext at `offset`, which stays as it is.
   * @param into takes the first `wanted` octets of the plaintext: the server ID, and the nonce as far as asked for
   */
  decryptInto(data: DataView, offset: number, wanted: number, into: Uint8Array): void;
}

/**
 * @param key {@link QUIC_LB_KEY_LENGTH} octets; copied
 * @param plaintextLength octets of server ID and nonce together: 5 .. 19
 */
export function cidCipher(key: Uint8Array, plaintextLength: number): CidCipher {
  return plaintextLength === BLOCK ? new SinglePassCipher(key) : new FourPassCipher(key, plaintextLength);
}

/** Server ID and nonce are one block (sections 5.4.1 and 5.5.1). */
class SinglePassCipher implements CidCipher {
  private readonly aes: Aes128;

  constructor(key: Uint8Array) {
    this.aes = new Aes128(key);
  }

  encryptInPlace(data: DataView, offset: number): void {
    const { aes } = this;
    loadBlock(aes, data, offset);
    aes.encrypt();
    for (let i = 0; i < 4; i++) data.setInt32(offset + 4 * i, aes.block[i]);
  }

  decryptInto(data: DataView, offset: number, wanted: number, into: Uint8Array): void {
    const { aes } = this;
    loadBlock(aes, data, offset);
    aes.decrypt();
    for (let i = 0; i < wanted; i++) into[i] = aes.block[i >>> 2] >>> (24 - 8 * (i & 3));
  }
}

function loadBlock({ block }: Aes128, data: DataView, offset: number): void {
  block[0] = data.getInt32(offset);
  block[1] = data.getInt32(offset + 4);
  block[2] = data.getInt32(offset + 8);
  block[3] = data.getInt32(offset + 12);
}

/**
 * Server ID and nonce are any other number of octets (sections 5.4.2 and 5.5.2). One text at a time lies in `left` and
 * `right`: `split` puts it there, passes 1 to 4 encrypt it, 4 to 1 decrypt it, `octet` reads it.
 */
export class FourPassCipher implements CidCipher {
  /** left_0, left_1 or left_2 of the draft, depending on the passes so far; behind half_len octets zero. */
  readonly left = new Uint8Array(MAX_HALF_LEN);
  /** right_0, right_1 or right_2. */
  readonly right = new Uint8Array(MAX_HALF_LEN);
  /** Octets of each half: half of plaintext_len, rounded up. */
  readonly halfLen: number;
  /** Where the right half starts in the whole: half of plaintext_len, rounded down. */
  private readonly rightAt: number;
  /** Of the last octet of `left`. */
  private readonly leftMask: number;
  /** Of the first octet of `right`. */
  private readonly rightMask: number;
  /** What expand() returns. Everything between the half and the length stays zero. */
  private readonly expanded = new Uint8Array(BLOCK);
  private readonly expandedData = new DataView(this.expanded.buffer);
  private readonly aes: Aes128;

  constructor(
    key: Uint8Array,
    private readonly plaintextLength: number,
  ) {
    const isOdd = (plaintextLength & 1) === 1;
    this.halfLen = (plaintextLength + 1) >>> 1;
    this.rightAt = plaintextLength >>> 1;
    this.leftMask = isOdd ? 0xf0 : 0xff;
    this.rightMask = isOdd ? 0x0f : 0xff;
    this.expanded[EXPAND_AT_LENGTH] = plaintextLength;
    // Feistel: decryption too only ever encrypts.
    this.aes = new Aes128(key);
  }

  encryptInPlace(data: DataView, offset: number): void {
    this.split(data, offset);
    for (let pass = 1; pass <= 4; pass++) this.pass(pass);
    for (let i = 0; i < this.plaintextLength; i++) data.setUint8(offset + i, this.octet(i));
  }

  decryptInto(data: DataView, offset: number, wanted: number, into: Uint8Array): void {
    this.split(data, offset);
    this.pass(4);
    this.pass(3);
    this.pass(2);
    // left_0 is known now. With a nonce at least as long as the server ID it holds all that a load balancer wants.
    if (wanted > this.rightAt) this.pass(1);
    for (let i = 0; i < wanted; i++) into[i] = this.octet(i);
  }

  /** Takes both halves of a text (section 5.4.2.3, step 2). */
  split(data: DataView, offset: number): void {
    const { left, right, halfLen } = this;
    for (let i = 0; i < halfLen; i++) {
      left[i] = data.getUint8(offset + i);
      right[i] = data.getUint8(offset + this.rightAt + i);
    }
    left[halfLen - 1] &= this.leftMask;
    right[0] &= this.rightMask;
  }

  /**
   * One round: encrypts one half and XORs the result with the other one, of which it then clears what is not its own
   * (section 5.4.2.3, steps 3 to 5). Doing the same round again undoes it. Section 5.5.2 once prints left_1 where the
   * bits of right_1 are cleared.
   * @param number of the pass, 1 .. 4: odd ones change `right`, even ones `left`
   */
  pass(number: number): void {
    const { left, right, halfLen, expanded, aes } = this;
    const isOdd = (number & 1) === 1;
    const source = isOdd ? left : right;
    const target = isOdd ? right : left;
    for (let i = 0; i < halfLen; i++) expanded[i] = source[i];
    expanded[EXPAND_AT_PASS] = number;
    loadBlock(aes, this.expandedData, 0);
    aes.encrypt();
    for (let i = 0; i < halfLen; i++) target[i] ^= aes.block[i >>> 2] >>> (24 - 8 * (i & 3));
    left[halfLen - 1] &= this.leftMask;
    right[0] &= this.rightMask;
  }

  /** The octet `index` of both halves put together again (section 5.4.2.3, step 12). */
  octet(index: number): number {
    const ofLeft = index < this.halfLen ? this.left[index] : 0;
    const ofRight = index < this.rightAt ? 0 : this.right[index - this.rightAt];
    return ofLeft | ofRight;
  }
}
