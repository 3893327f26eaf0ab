import { generateKeyPairSync } from 'node:crypto';

/** A WireGuard key pair: Curve25519 (RFC 7748), each half 32 bytes in base64, as `wg genkey` and `wg pubkey` print. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

export function newKeyPair(): KeyPair {
  const { d, x } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  if (d === undefined || x === undefined) throw new Error('an X25519 key without its halves');
  return { privateKey: toBase64(d), publicKey: toBase64(x) };
}

const toBase64 = (base64url: string): string => Buffer.from(base64url, 'base64url').toString('base64');
