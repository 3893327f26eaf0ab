import { PacketBatch } from '../../../src/path/batch.js';
import { PathCounters } from '../../../src/path/counters.js';
import { Forwarder } from '../../../src/path/forwarder.js';
import { twohop } from '../../../src/path/profile/forwarder-profile.js';
import { forwarderSiteOf } from '../../../src/path/profile/forwarder-site.js';
import { type ForwardOutcome, ProfiledForwarder } from '../../../src/path/profile/profiled-forwarder.js';
import { SocketState } from '../../../src/path/sockets.js';
import { type PathConfig, PathState } from '../../../src/path/state.js';
import { Action, VERDICTS } from '../../../src/path/verdict.js';
import { FakeSockets } from '../support.js';

/** The hot forwarder and its model side by side, on the same packet and the same sockets. */

const UNTOUCHED = 0xdeadbeef;
const STATES = [SocketState.None, SocketState.Established, SocketState.Listening, SocketState.Failed];

/** Answers that depend on the tuple alone, so that both are told the same. */
function sockets(): FakeSockets {
  const sum = (tuple: string): number =>
    [...tuple].reduce((total, letter) => total + letter.charCodeAt(0), 0);
  return new FakeSockets(
    (tuple) => STATES[sum(tuple) & 3],
    (tuple, sequence) => ((sum(tuple) + sequence) & 1) === 0,
  );
}

export class Twins {
  private readonly batch = new PacketBatch({ capacity: 1 });
  private readonly hotSockets = sockets();
  private readonly slowSockets = sockets();
  private readonly hot: Forwarder;
  private readonly slow: ProfiledForwarder;
  private now = 1;

  constructor(config: PathConfig) {
    const state = new PathState(config);
    this.hot = new Forwarder(state, new PathCounters(config.trafficsets.length), this.hotSockets, 1);
    this.slow = new ProfiledForwarder(twohop, forwarderSiteOf(state), this.slowSockets);
  }

  /** @returns what the model made of the packet, and in what the hot one differs, null when in nothing */
  run(packet: Uint8Array): { readonly outcome: ForwardOutcome; readonly difference: string | null } {
    const { batch, hotSockets, slowSockets } = this;
    batch.clear();
    if (!batch.push(packet)) throw new Error('the packet is too large for the batch');
    batch.flowHash[0] = UNTOUCHED;
    for (const { asked, syns } of [hotSockets, slowSockets]) {
      asked.length = 0;
      syns.length = 0;
    }
    // A second for each: what is limited by time is not limited here.
    this.now += 1000;
    this.hot.now = this.now;
    this.slow.now = this.now;
    this.hot.process(batch);
    const outcome = this.slow.process(packet);

    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const isDrop = batch.action[0] === Action.Drop;
    const hot = {
      reason: VERDICTS[batch.verdict[0]].name,
      isDrop,
      isSend: batch.action[0] === Action.Send,
      bytes: isDrop ? '' : hex(batch.packet(0)),
      nextHop: batch.action[0] === Action.Send ? batch.nextHop[0] : 0,
      hash: batch.flowHash[0],
      trafficset: batch.trafficset[0],
      asked: hotSockets.asked.join(),
      syns: hotSockets.syns.join(),
    };
    const slow = {
      reason: outcome.reason,
      isDrop: outcome.action === 'drop',
      isSend: outcome.action === 'send',
      bytes: hex(outcome.bytes),
      nextHop: outcome.nextHop,
      hash: outcome.hash === '' ? UNTOUCHED : Number.parseInt(outcome.hash, 16),
      trafficset: outcome.service?.index ?? -1,
      asked: slowSockets.asked.join(),
      syns: slowSockets.syns.join(),
    };
    const [one, other] = [JSON.stringify(hot), JSON.stringify(slow)];
    return { outcome, difference: one === other ? null : `${hex(packet)}\nhot   ${one}\nmodel ${other}` };
  }
}
