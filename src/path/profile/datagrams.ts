import { IpPacket } from '../../wire/ip.js';
import { FRAGMENT_LIFETIME_MS } from '../fragments.js';

/**
 * What became of first fragments, slow and obvious: the twin of the hot stages' `FragmentMemory`, which in addition
 * forgets when there are too many.
 */
export class Datagrams<Outcome> {
  private readonly outcomes = new Map<string, { readonly outcome: Outcome; readonly since: number }>();

  /** @param data from the IP header of a fragment on; one that can be parsed */
  note(data: DataView, outcome: Outcome, now: number): void {
    this.outcomes.set(keyOf(data), { outcome, since: now });
  }

  find(data: DataView, now: number): Outcome | null {
    const found = this.outcomes.get(keyOf(data));
    return found === undefined || now - found.since > FRAGMENT_LIFETIME_MS ? null : found.outcome;
  }
}

function keyOf(data: DataView): string {
  const packet = new IpPacket();
  packet.parse(data, 0, data.byteLength);
  const { version, identification, protocol } = packet;
  const [from, to] = version === 4 ? [12, 20] : [8, 40];
  const addresses = Buffer.from(data.buffer, data.byteOffset + from, to - from).toString('hex');
  return `${version} ${addresses} ${identification} ${version === 4 ? protocol : ''}`;
}
