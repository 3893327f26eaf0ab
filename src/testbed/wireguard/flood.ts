import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { writeJsonLine } from '../json-lines.js';

/** What a flood sends, and how much of it: the process in the attacker's namespace. */
export interface FloodSpec {
  readonly address: string;
  readonly port: number;
  /** Datagrams of each kind. */
  readonly count: number;
}

/** Datagrams by what a dissector should make of them. */
export interface FloodReport {
  /** Whole messages of sessions that nobody has. */
  readonly strangers: number;
  readonly truncated: number;
  readonly unknown_type: number;
  readonly bad_length: number;
}

const KINDS = ['strangers', 'truncated', 'unknown_type', 'bad_length'] as const;
/** Sent before the others get a turn; the kernel's queues hold more. */
const BURST = 200;

/** Sends random clientids and what is no WireGuard at all, as fast as one socket does; tells how much was sent. */
export async function flood({ address, port, count }: FloodSpec): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(port, address, () => resolve());
  });
  const sent: Record<keyof FloodReport, number> = {
    strangers: 0,
    truncated: 0,
    unknown_type: 0,
    bad_length: 0,
  };
  for (let done = 0; done < count; done += BURST) {
    const burst = Math.min(BURST, count - done);
    for (const kind of KINDS) {
      const sending = Array.from({ length: burst }, () => send(socket, hostile(kind)));
      for (const arrived of await Promise.all(sending)) sent[kind] += arrived ? 1 : 0;
    }
  }
  socket.close();
  writeJsonLine(process.stdout, sent);
}

/** @returns false when the kernel would not take it: a service may answer with an ICMP error, or a queue be full */
function send(socket: ReturnType<typeof createSocket>, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => socket.send(bytes, (error) => resolve(error === null)));
}

function hostile(kind: (typeof KINDS)[number]): Uint8Array {
  const bytes = randomBytes(kind === 'truncated' ? 1 + (randomBytes(1)[0] % 3) : 64);
  if (kind === 'truncated') return bytes;
  if (kind === 'unknown_type') bytes[0] = 5 + (bytes[0] % 250);
  else bytes[0] = kind === 'strangers' ? 4 : 1;
  // Zeros would be a stock client.
  bytes[3] |= 1;
  return bytes;
}
