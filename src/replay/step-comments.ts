import { AsciiText } from '../io/capture/ascii-text.js';
import { Stage } from '../path/counters.js';
import type { TrafficsetState } from '../path/state.js';
import { VERDICTS } from '../path/verdict.js';
import { formatIpv4 } from '../wire/address.js';
import { GueView } from '../wire/gue.js';
import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import { IPV4_AT_PROTOCOL, IPV4_HEADER } from '../wire/ipv4.js';
import { Reason } from '../wire/reason.js';
import { UDP_HEADER } from '../wire/udp.js';
import type { ReplayFleet } from './fleet.js';
import {
  classifierOf,
  copiesOf,
  followsFirst,
  hasFlow,
  hasHops,
  hasLookup,
  hopOf,
  refusalOf,
  trafficsetOf,
} from './step-facts.js';
import type { Traveller } from './traveller.js';
import { packetWords, portOf, protocolName, TCP_FLAG_NAMES } from './words.js';

/** What one stage made of one packet, and why, in one line: `s1: forward: wrapped and sent to the first hop; ...`. */
export class StepComments {
  private readonly text = new AsciiText();
  /** `10.0.2.1 (s2)` by address. */
  private readonly hopTexts = new Map<number, string>();
  /** By trafficset (each server has its own) or server, and verdict. */
  private readonly openings = new Map<object, string[]>();
  private readonly wrapper = new GueView();

  constructor(private readonly fleet: ReplayFleet) {}

  /** Of the traveller's last step; good until the next call. */
  comment(traveller: Traveller): AsciiText {
    const { text } = this;
    const set = trafficsetOf(traveller);
    text.clear().add(this.opening(traveller, set));
    this.addSubject(traveller);
    if (set !== undefined && hasLookup(traveller)) this.addLookup(traveller, set);
    else if (hasHops(traveller)) this.addHop(traveller);
    this.addExtras(traveller, set);
    if (traveller.lost) text.add('; no server has ').ipv4(traveller.batch.nextHop[0]);
    return text;
  }

  /** What only some dissectors and verdicts have. */
  private addExtras(traveller: Traveller, set: TrafficsetState | undefined): void {
    const { text } = this;
    const refusal = refusalOf(traveller, set);
    if (refusal !== null) text.add('; ').add(refusal);
    const copies = copiesOf(traveller, set);
    if (copies.length > 0) text.add('; copies to ').add(copies.map((dip) => this.hopText(dip)).join(', '));
  }

  /** `s1: forward: wrapped and sent to the first hop; trafficset web; `: few of them, for many packets. */
  private opening({ server, verdict }: Traveller, set: TrafficsetState | undefined): string {
    const where = set ?? server;
    let texts = this.openings.get(where);
    if (texts === undefined) {
      texts = [];
      this.openings.set(where, texts);
    }
    const { name, meaning } = VERDICTS[verdict];
    const trafficset = set === undefined ? '' : `trafficset ${set.name}; `;
    texts[verdict] ??= `${server.name}: ${name}: ${meaning}; ${trafficset}`;
    return texts[verdict];
  }

  private addSubject(traveller: Traveller): void {
    const { text } = this;
    const { batch, offset, length, stage } = traveller;
    const limit = offset + length;
    if (hasFlow(traveller)) {
      this.addFlow(traveller);
      return;
    }
    text.add(packetWords(batch.data, offset, limit));
    const inner = stage === Stage.Forward ? -1 : this.innerOf(batch.data, offset, limit);
    if (inner >= 0) text.add(' around ').add(packetWords(batch.data, inner, limit));
    if (followsFirst(traveller)) text.add(', as the first one');
  }

  /** What an ICMP error quotes is told as the client's packets went. */
  private addFlow(traveller: Traveller): void {
    const { text } = this;
    const { flow } = classifierOf(traveller);
    const { version, data } = flow;
    if (flow.quoted === 1) text.add('ICMP error about ');
    text.add(protocolName(flow.protocol)).add(' ');
    const { protocol } = flow;
    text.endpoint(version, data, flow.sourceOffset, portOf(protocol, flow.sourcePort)).add(' > ');
    text.endpoint(version, data, flow.destinationOffset, portOf(protocol, flow.destinationPort));
    if (flow.tcpFlags !== 0) text.add(' ').add(TCP_FLAG_NAMES[flow.tcpFlags]);
  }

  private addLookup(traveller: Traveller, set: TrafficsetState): void {
    const { text } = this;
    const hash = traveller.batch.flowHash[0];
    const bucket = hash & set.mask;
    text.add('; key ');
    this.addKey(traveller, set);
    text.add('; hash ').hex32(hash);
    text
      .add('; bucket ')
      .decimal(bucket)
      .add(' of ')
      .decimal(set.mask + 1);
    text.add('; first hop ').add(this.hopText(set.slots[2 * bucket]));
    const second = set.slots[2 * bucket + 1];
    const { key, named } = traveller.stages.forwarder.keys;
    if (named === 1) {
      text.add(', but the packet names ').add(this.hopText(key.server >>> 0));
      if (!set.memberSet.has(key.server)) text.add(', which is gone');
    }
    if (set.twoSlots === 0) text.add(', one slot only');
    else if (second === 0) text.add(', no second hop');
    else text.add(', second hop ').add(this.hopText(second));
  }

  /** The four-tuple is told with the flow; what another dissector found is told in hexadecimal. */
  private addKey({ stages }: Traveller, set: TrafficsetState): void {
    const { classifier, keys } = stages.forwarder;
    const { key, fellBack, named } = keys;
    const name = fellBack + named > 0 ? 'four-tuple' : set.dissector.name;
    if (name === 'four-tuple') {
      this.text.add(name).add(classifier.flow.quoted === 1 ? ' of the quoted packet' : '');
      if (fellBack === 1) this.text.add(`, as ${set.dissector.name} finds none`);
    } else
      this.text
        .add(name)
        .add(' ')
        .add(Buffer.from(key.bytes.buffer, 0, key.length).toString('hex'));
  }

  private addHop(traveller: Traveller): void {
    const { text } = this;
    const { index, count, dip } = hopOf(traveller);
    if (count === 0) text.add('; the wrapper names no hop');
    else if (index === count) text.add('; every hop of ').decimal(count).add(' was tried');
    else
      text
        .add('; hop ')
        .decimal(index + 1)
        .add(' of ')
        .decimal(count)
        .add(' is ')
        .add(this.hopText(dip));
  }

  private hopText(dip: number): string {
    let text = this.hopTexts.get(dip);
    if (text === undefined) {
      const name = this.fleet.nameOf(dip);
      text = dip === 0 ? 'none' : `${formatIpv4(dip)}${name === null ? '' : ` (${name})`}`;
      this.hopTexts.set(dip, text);
    }
    return text;
  }

  /** Where the wrapped packet begins; -1 where the wrapper cannot be read. */
  private innerOf(data: DataView, offset: number, limit: number): number {
    if (limit - offset < IPV4_HEADER + UDP_HEADER) return -1;
    if (data.getUint8(offset + IPV4_AT_PROTOCOL) !== IP_PROTOCOL_UDP) return -1;
    const udp = offset + ((data.getUint8(offset) & 0x0f) << 2);
    return this.wrapper.attach(data, udp + UDP_HEADER, limit) === Reason.Ok ? this.wrapper.payload : -1;
  }
}
