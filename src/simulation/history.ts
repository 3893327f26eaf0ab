import { shuffle } from '../table/random.js';
import { Draws } from './random.js';

/** What happens in a data center in a day, the same for every scheme. */

export type Happening =
  /** The operator wants no new flows on it: a deploy begins; and ends. */
  | { readonly kind: 'drain' | 'undrain' }
  /** Its processes start anew while it is drained, or it boots: its connections are gone, it is not. */
  | { readonly kind: 'restart' }
  /** It fails: its connections are gone, and it serves nobody; and works again. */
  | { readonly kind: 'die' | 'repair' }
  /** Its health check fails though it works; and succeeds again. */
  | { readonly kind: 'unhealthy' | 'healthy' }
  /** A new server. */
  | { readonly kind: 'add' }
  /** The operator sets its weight to so much of the nominal one, because its capacity changes to that. */
  | { readonly kind: 'weight'; readonly factor: number }
  /** Its capacity changes, and the operator does not know. */
  | { readonly kind: 'slow'; readonly factor: number };

export type HistoryEvent = Happening & {
  /** Seconds since the beginning; a multiple of {@link STEP}. */
  readonly at: number;
  /** Index of the server. */
  readonly server: number;
};

/** Seconds; nothing happens in between. */
export const STEP = 10;

/** Time of an event that is written down as hours of the day. */
const HOUR = 3600;
const MINUTE = 60;

/** What a day holds, by number of servers; for 500 servers in brackets. */
const DEPLOY_WAVE = 0.04; // of the servers at a time (20), one wave every 15 minutes from 09:00
const DEPLOY_INTERVAL = 15 * MINUTE;
const DEPLOY_DRAIN = 10 * MINUTE;
const REBOOTS = 0.02; // of the servers (10), drained for half an hour first
const DEATHS = 0.01; // of the servers (5)
const CAPPED = 0.02; // of the servers (10): a rack with less power for two hours
const THROTTLED = 0.01; // of the servers (5): too hot for four hours
const FALSE_ALARM = 0.7; // of the servers (350): the network between the monitors and them, for three minutes

/**
 * @param servers that are there from the beginning; the added ones have the numbers after them
 * @param start of the simulation, in seconds since midnight (may be negative: the evening before)
 * @returns in the order of time, only what happens in the first `hours` since midnight
 */
export function buildHistory(
  servers: number,
  added: number,
  start: number,
  hours: number,
  seed: number,
): HistoryEvent[] {
  const draws = new Draws(seed);
  const events: HistoryEvent[] = [];
  const at = (seconds: number, server: number, happening: Happening) => {
    events.push({ ...happening, at: Math.round((seconds - start) / STEP) * STEP, server });
  };
  const some = (share: number) => Math.max(1, Math.round(share * servers));
  const order = [
    ...shuffle(
      Uint32Array.from({ length: servers }, (_, index) => index),
      seed,
    ),
  ];

  // A new version of the service, everywhere. The old processes keep their connections until these end.
  const wave = some(DEPLOY_WAVE);
  for (let index = 0; index < servers; index++) {
    const begin = 9 * HOUR + Math.floor(index / wave) * DEPLOY_INTERVAL;
    at(begin, order[index], { kind: 'drain' });
    at(begin + DEPLOY_DRAIN, order[index], { kind: 'undrain' });
  }
  // Everything else happens to servers of its own, before the deploy has come to them or long after.
  const picked = [
    ...shuffle(
      Uint32Array.from({ length: servers }, (_, index) => index),
      seed + 1,
    ),
  ];
  const take = (share: number) => picked.splice(0, some(share));
  for (const server of take(REBOOTS)) {
    const begin = (draws.uniform() < 0.5 ? 2 : 17) * HOUR + draws.whole(0, 5 * HOUR);
    at(begin, server, { kind: 'drain' });
    at(begin + 30 * MINUTE, server, { kind: 'restart' });
    at(begin + 35 * MINUTE, server, { kind: 'undrain' });
  }
  for (const server of take(DEATHS)) {
    const begin = draws.whole(1 * HOUR, 22 * HOUR);
    at(begin, server, { kind: 'die' });
    at(begin + draws.whole(HOUR, 4 * HOUR), server, { kind: 'repair' });
  }
  for (const server of take(CAPPED)) {
    at(11 * HOUR, server, { kind: 'weight', factor: 0.7 });
    at(13 * HOUR, server, { kind: 'weight', factor: 1 });
  }
  for (const server of take(THROTTLED)) {
    const begin = draws.whole(6 * HOUR, 18 * HOUR);
    at(begin, server, { kind: 'slow', factor: 0.7 });
    at(begin + 4 * HOUR, server, { kind: 'slow', factor: 1 });
  }
  // A health check at the edge of its timeout: failures that last, and such that do not.
  const [flapping] = picked.splice(0, 1);
  for (let begin = 16 * HOUR; begin < 16 * HOUR + 20 * MINUTE; begin += 2 * MINUTE) {
    at(begin, flapping, { kind: 'unhealthy' });
    at(begin + 40, flapping, { kind: 'healthy' });
    at(begin + 80, flapping, { kind: 'unhealthy' });
    at(begin + 90, flapping, { kind: 'healthy' });
  }
  for (const server of order.slice(0, Math.round(FALSE_ALARM * servers))) {
    at(23 * HOUR, server, { kind: 'unhealthy' });
    at(23 * HOUR + 3 * MINUTE, server, { kind: 'healthy' });
  }
  for (let index = 0; index < added; index++) {
    at(index < added / 2 ? 13.5 * HOUR : 14 * HOUR, servers + index, { kind: 'add' });
  }
  return events
    .filter((event) => event.at >= 0 && event.at < hours * HOUR - start)
    .sort((a, b) => a.at - b.at || a.server - b.server);
}
