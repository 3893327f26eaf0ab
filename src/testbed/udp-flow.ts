import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import type { Endpoint, FlowAnswer } from './client-protocol.js';

/** How long an answer may take before the datagram is sent again. */
const ANSWER_MS = 500;
/** It is sent so often at most. */
const TRIES = 10;

/**
 * A client's end of a UDP flow: a connected socket, so that only the VIP can answer. It asks and waits for the answer,
 * one datagram at a time (see udp-service.ts for what they say).
 */
export class UdpFlow {
  private constructor(
    readonly id: number,
    private readonly socket: Socket,
    private readonly remote: Endpoint,
    private readonly answerMs: number,
  ) {
    // ICMP errors: the next try shows whether they matter.
    socket.on('error', () => {});
  }

  /** @param localPort the port to send from @param answerMs an answer may take so long; then the datagram is sent again */
  static async open(id: number, localPort: number, remote: Endpoint, answerMs = ANSWER_MS): Promise<UdpFlow> {
    const socket = createSocket(isIPv4(remote.address) ? 'udp4' : 'udp6');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(localPort, () => socket.connect(remote.port, remote.address, resolve));
    });
    socket.removeAllListeners('error');
    return new UdpFlow(id, socket, remote, answerMs);
  }

  /** @param bytes length of the datagram */
  async ask(bytes: number): Promise<FlowAnswer> {
    const { address, port } = this.socket.address();
    const asked = { id: this.id, local: { address, port }, remote: this.remote };
    const token = randomBytes(6).toString('hex');
    const request = Buffer.from(`${token} ${randomBytes(bytes).toString('hex')}`).subarray(0, bytes - 1);
    const datagram = Buffer.concat([request, Buffer.from('\n')]);
    for (let tries = 1; tries <= TRIES; tries++) {
      const answer = await this.exchange(datagram, token);
      if (answer === null) continue;
      const [server, count, , length, digest] = answer;
      return { ...asked, server, count: Number(count), tries, intact: intact(datagram, length, digest) };
    }
    return { ...asked, server: null, count: 0, tries: TRIES, intact: false };
  }

  close(): void {
    this.socket.close();
  }

  /** Sends once. @returns the words of the answer with this token, or null when none came */
  private exchange(datagram: Buffer, token: string): Promise<string[] | null> {
    const { socket } = this;
    return new Promise((resolve) => {
      const settle = (words: string[] | null): void => {
        clearTimeout(timer);
        socket.off('message', onMessage);
        resolve(words);
      };
      const onMessage = (message: Buffer): void => {
        const words = message.toString('latin1').trim().split(' ');
        // An answer to an earlier try of something else is late, and nothing more.
        if (words[2] === token) settle(words);
      };
      const timer = setTimeout(() => settle(null), this.answerMs);
      socket.on('message', onMessage);
      // What cannot be sent is tried again when its time is over, as if it had been lost.
      socket.send(datagram, () => {});
    });
  }
}

/** Did the service get what was sent? Those that give no account are taken at their word that they got something. */
function intact(datagram: Buffer, length: string | undefined, digest: string | undefined): boolean {
  if (length === undefined) return true;
  return Number(length) === datagram.length && digest === createHash('sha256').update(datagram).digest('hex');
}
