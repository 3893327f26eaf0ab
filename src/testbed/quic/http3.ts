import { createHash } from 'node:crypto';
import { encodeQuicVarintInto, quicVarint, quicVarintSize } from '../../wire/quic.js';

/**
 * As much of HTTP/3 as it takes to answer a stock client's request: a control stream, the body of the request, and a
 * response to whatever was asked. Header fields of requests are not looked at.
 *
 * Source: RFC 9114 sections 6.2.1 and 7; RFC 9204 (QPACK) section 4.5 and appendix A.
 */

/** Name of the protocol in the handshake. */
export const HTTP3 = 'h3';

/** The server's first unidirectional stream. */
export const CONTROL_STREAM = 3;

const DATA = 0x00;
const HEADERS = 0x01;
const SETTINGS = 0x04;

/** The control stream's type (0), then SETTINGS without a setting: no dynamic table, header fields stand for themselves. */
export const CONTROL_STREAM_START = Buffer.of(0x00, SETTINGS, 0);

/** Is it a stream on which a client makes a request? */
export const isRequestStream = (stream: number): boolean => stream % 4 === 0;

/** HEADERS with the one field `:status: 200`, and DATA with the body. */
export function responseWith(body: Buffer): Buffer {
  // A prefix of two octets: no dynamic table. The field is entry 25 of the static table.
  const headers = Buffer.of(HEADERS, 3, 0x00, 0x00, 0xc0 | 25);
  const head = Buffer.alloc(9);
  const size = encodeQuicVarintInto(new DataView(head.buffer, head.byteOffset), 1, body.length);
  head[0] = DATA;
  return Buffer.concat([headers, head.subarray(0, 1 + size), body]);
}

/** Takes the body out of a request's stream, which comes in pieces of any size. */
export class RequestBody {
  received = 0;
  private readonly hash = createHash('sha256');
  /** The beginning of a frame's head, as far as it is here. */
  private head: Buffer = Buffer.alloc(0);
  private type = DATA;
  /** Octets of the frame's payload that are still to come. */
  private left = 0;

  push(piece: Buffer): void {
    let rest = piece;
    while (rest.length > 0) {
      if (this.left === 0) {
        rest = this.takeHead(rest);
        continue;
      }
      const part = rest.subarray(0, this.left);
      if (this.type === DATA) {
        this.hash.update(part);
        this.received += part.length;
      }
      this.left -= part.length;
      rest = rest.subarray(part.length);
    }
  }

  /** SHA-256 in hexadecimal, once all is here. */
  digest(): string {
    return this.hash.digest('hex');
  }

  /** @returns what lies behind the head; nothing while the head is not complete */
  private takeHead(piece: Buffer): Buffer {
    const all = Buffer.concat([this.head, piece]);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const typeSize = quicVarintSize(view, 0, all.length);
    const lengthSize = typeSize === 0 ? 0 : quicVarintSize(view, typeSize, all.length);
    if (lengthSize === 0) {
      this.head = all;
      return Buffer.alloc(0);
    }
    this.head = Buffer.alloc(0);
    this.type = quicVarint(view, 0);
    this.left = quicVarint(view, typeSize);
    return all.subarray(typeSize + lengthSize);
  }
}
