import { randomBytes, randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { EchoReplies, type EchoReply } from '../../io/echo-replies.js';
import { parseIpv4 } from '../../table/address.js';
import type { MonitorConfig } from '../../table/control.js';
import { encodeGueInto } from '../../wire/gue.js';
import { encodeIcmpEchoInto, ICMP_ECHO_REQUEST, ICMP_HEADER } from '../../wire/icmp.js';
import { IP_PROTOCOL_ICMP, IP_PROTOCOL_IPIP } from '../../wire/ip.js';
import { encodeIpv4Into, IPV4_HEADER } from '../../wire/ipv4.js';
import { CannotCheck, type Check, failure, noAnswer, type Outcome } from './check.js';

type GueMonitor = Extract<MonitorConfig, { type: 'gue' }>;

/** GUE header and private data, without hops. */
const WRAPPER = 8;
/** By which a reply is known for the answer to one request. */
const TOKEN = 16;

export interface TunnelOptions {
  /** This node's DIP, dotted: replies come back to it, and servers take GUE from the underlay only. */
  readonly dip: string;
  /** `underlay.port` */
  readonly port: number;
}

interface Expected {
  readonly vip: number;
  readonly token: Uint8Array;
  answered(): void;
}

/**
 * Checks servers through the tunnel: an ICMP echo request from this node's DIP to a VIP, wrapped in GUE for one server.
 * That server's redirector unwraps it and gives it to its kernel, which answers from the VIP straight to this node. So
 * an answer says that its node reads what comes, that its kernel has the VIP, and that its replies leave.
 *
 * A server cannot check itself this way: its kernel refuses a request that comes in from its own address. IPv4 VIPs
 * only: the underlay is IPv4, so that a reply from an IPv6 VIP would have no address to come back to.
 */
export class TunnelEcho {
  private readonly expected = new Map<number, Expected>();
  private readonly own: number;
  private nextSequence = randomInt(0x1_0000);

  private constructor(
    private readonly options: TunnelOptions,
    private readonly socket: Socket,
    private readonly replies: EchoReplies,
    private readonly identifier: number,
  ) {
    this.own = parseIpv4(options.dip);
  }

  /** @throws CannotCheck: no right to packet sockets, or the DIP is no address here */
  static async open(options: TunnelOptions): Promise<TunnelEcho> {
    let echo: TunnelEcho | null = null;
    const socket = createSocket('udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind({ address: options.dip, port: 0, exclusive: true }, resolve);
      });
      // Errors of single datagrams come to their senders.
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      const identifier = randomInt(0x1_0000);
      const replies = new EchoReplies(
        identifier,
        () => echo !== null && echo.expected.size > 0,
        (reply) => echo?.take(reply),
      );
      echo = new TunnelEcho(options, socket, replies, identifier);
      return echo;
    } catch (error) {
      socket.close();
      throw new CannotCheck(error instanceof Error ? error.message : String(error));
    }
  }

  /** Up when the server answers an echo request to the VIP. */
  check(monitor: Pick<GueMonitor, 'vip' | 'timeout_seconds'>): Check {
    const vip = parseIpv4(monitor.vip);
    return ({ dip }, stop) =>
      new Promise<Outcome>((resolve, reject) => {
        if (dip === this.options.dip) {
          // Its kernel takes no packet from its own address that comes in by a device.
          return reject(
            new CannotCheck('no server can check itself through the tunnel: it needs another vantage'),
          );
        }
        const sequence = this.takeSequence();
        const token = randomBytes(TOKEN);
        const started = performance.now();
        const timer = setTimeout(
          () => finish(() => noAnswer(monitor.timeout_seconds)),
          1000 * monitor.timeout_seconds,
        );
        const stopped = () => finish(() => ({ up: false, why: 'stopped' }));
        const finish = (outcome: () => Outcome) => {
          clearTimeout(timer);
          stop.removeEventListener('abort', stopped);
          this.expected.delete(sequence);
          try {
            resolve(outcome());
          } catch (error) {
            reject(error);
          }
        };
        stop.addEventListener('abort', stopped);
        if (stop.aborted) return stopped();
        const answered = () => finish(() => ({ up: true, latency: performance.now() - started }));
        this.expected.set(sequence, { vip, token, answered });
        this.replies.wake();
        const request = wrappedEcho(this.own, vip, this.identifier, sequence, token);
        this.socket.send(request, this.options.port, dip, (error) => {
          if (error !== null) finish(() => failure(error));
        });
      });
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.socket.close(resolve));
    await this.replies.close();
  }

  private take({ source, destination, sequence, payload }: EchoReply): void {
    const expected = this.expected.get(sequence);
    if (expected === undefined || source !== expected.vip || destination !== this.own) return;
    if (Buffer.compare(payload, expected.token) === 0) expected.answered();
  }

  private takeSequence(): number {
    // 65,536 are more than ever wait at once.
    do this.nextSequence = (this.nextSequence + 1) & 0xffff;
    while (this.expected.has(this.nextSequence));
    return this.nextSequence;
  }
}

/** UDP payload of a GUE datagram: wrapper, IPv4, ICMP echo request. Addresses are host-order numbers. */
export function wrappedEcho(
  source: number,
  vip: number,
  identifier: number,
  sequence: number,
  token: Uint8Array,
): Uint8Array {
  const length = IPV4_HEADER + ICMP_HEADER + token.length;
  const bytes = new Uint8Array(WRAPPER + length);
  const data = new DataView(bytes.buffer);
  encodeGueInto(data, 0, IP_PROTOCOL_IPIP);
  encodeIpv4Into(data, WRAPPER, length, IP_PROTOCOL_ICMP, source, vip);
  encodeIcmpEchoInto(data, WRAPPER + IPV4_HEADER, ICMP_ECHO_REQUEST, identifier, sequence, token);
  return bytes;
}
