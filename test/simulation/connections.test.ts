import { describe, expect, it } from 'vitest';
import { Condition } from '../../src/simulation/condition.js';
import { buildServers } from '../../src/simulation/data-center.js';
import { flowHashes, HashScheme, rendezvousPlacement, serving } from '../../src/simulation/hash-scheme.js';
import { buildHistory, STEP } from '../../src/simulation/history.js';
import { DEFAULT_SETTINGS } from '../../src/simulation/simulate.js';
import { activity, CLASSES, Traffic } from '../../src/simulation/traffic.js';
import { TwohopScheme } from '../../src/simulation/twohop-scheme.js';

const SERVERS = 20;
const HOURS = 18;
/** The events of most of a day in three hours of steps: many at once, and overlapping. */
const HURRY = 6;
const STEPS = (HOURS * 3600) / STEP / HURRY;

describe('connections', () => {
  const servers = buildServers(SERVERS, 2, 1);
  const condition = new Condition(servers);
  const traffic = new Traffic(30, 0, STEP, STEPS);
  // Holders may be pushed out at once, so that the table breaks connections too.
  const settings = { ...DEFAULT_SETTINGS, minHolderAge: 0 };
  const twohop = new TwohopScheme(traffic, condition, { buckets: 2048, settings, seed: 5 });
  const hashed = new HashScheme('r', traffic, rendezvousPlacement(flowHashes(2048, 1)), condition);
  const history = buildHistory(SERVERS, 2, 0, HOURS, 2);
  const arrived = CLASSES.map(() => 0);
  const ended = CLASSES.map(() => 0);
  const aliveNow = () =>
    CLASSES.map((_, kind) => sum(servers.map((_, server) => twohop.alive(server, kind))));

  for (let at = 0, next = 0; at < STEPS; at++) {
    let news = false;
    for (; next < history.length && history[next].at <= at * STEP * HURRY; next++) {
      const event = { ...history[next], at: at * STEP };
      if (condition.apply(event)) news = true;
      if (event.kind !== 'die' && event.kind !== 'restart') continue;
      twohop.lose(event.server, at);
      hashed.lose(event.server, at);
    }
    if (condition.judge(at * STEP)) news = true;
    if (news) {
      twohop.learn(condition, at);
      hashed.learn(condition, at);
    }
    const before = aliveNow();
    twohop.advance(condition, at);
    const after = aliveNow();
    for (const kind of CLASSES.keys()) {
      arrived[kind] += traffic.arriving(kind, at);
      ended[kind] += before[kind] + traffic.arriving(kind, at) - after[kind];
    }
  }

  it('are as many as there were, and came, without those that ended: none gets lost when buckets change', () => {
    for (const [kind, alive] of aliveNow().entries()) {
      expect(alive / traffic.alive(kind, STEPS)).toBeCloseTo(1, 9);
      expect((traffic.alive(kind, 0) + arrived[kind] - ended[kind]) / alive).toBeCloseTo(1, 6);
      expect(sum(servers.map((_, server) => hashed.alive(server, kind, STEPS))) / alive).toBeCloseTo(1, 9);
    }
  });

  it('are as many on each server and on second hops, counted bucket by bucket', () => {
    const { alive, onSecondHops } = twohop.recount(STEPS);
    for (const server of servers.keys()) {
      for (const kind of CLASSES.keys()) {
        const scale = traffic.alive(kind, STEPS) / SERVERS;
        const here = alive[server * CLASSES.length + kind];
        expect(here / scale).toBeCloseTo(twohop.alive(server, kind) / scale, 9);
      }
    }
    for (const kind of CLASSES.keys()) {
      const scale = traffic.alive(kind, STEPS);
      expect(onSecondHops[kind] / scale).toBeCloseTo(twohop.onSecondHops(kind) / scale, 9);
    }
  });

  it('were moved and lost in this history, so that the sums say something', () => {
    expect(twohop.changes().length).toBeGreaterThan(3);
    expect(sum([...hashed.tally.byTable])).toBeGreaterThan(0);
    expect(sum([...twohop.tally.byTable])).toBeGreaterThan(0);
    expect(sum([...twohop.tally.byServer])).toBeGreaterThan(0);
    expect(twohop.takePackets().redirected).toBeGreaterThan(0);
    expect(serving(condition).length).toBeGreaterThan(SERVERS / 2);
  });
});

describe('traffic', () => {
  it('is on average what its class says, from the first step on', () => {
    const steps = 24 * 360;
    const day = new Traffic(10, 0, STEP, steps);
    for (const [kind, { perSecond, lifetime }] of CLASSES.entries()) {
      const mean = sum(Array.from({ length: steps }, (_, at) => day.alive(kind, at))) / steps;
      expect(mean / (10 * perSecond * lifetime)).toBeCloseTo(1, 1);
      expect(day.alive(kind, steps) / day.alive(kind, 0)).toBeCloseTo(1, 1);
    }
  });

  it('has its peak in the evening and its low in the early morning', () => {
    const hours = Array.from({ length: 24 }, (_, hour) => activity(hour * 3600));
    expect(hours.indexOf(Math.max(...hours))).toBe(19);
    expect(hours.indexOf(Math.min(...hours))).toBe(4);
    expect(sum(hours) / 24).toBeCloseTo(1, 6);
  });
});

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
