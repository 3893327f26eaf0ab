import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Flow } from '../../src/flow/flow.js';
import { FlowKey } from '../../src/flow/flow-key.js';
import { createDissector, DISSECTOR_NAMES, DissectorError } from '../../src/flow/registry.js';
import { IpPacket } from '../../src/wire/ip.js';
import { makeUdp } from '../path/packets.js';
import { CONTEXT, make, outcomeOf } from './dissect.js';

const EXAMPLE = fileURLToPath(new URL('../../native-notes/examples/stun-username.mjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'twohop-dissectors-'));
afterAll(() => rmSync(directory, { recursive: true }));

let written = 0;
/** A user's file with this text, loaded. */
function load(text: string, options = {}) {
  const module = join(directory, `own-${written++}.mjs`);
  writeFileSync(module, text);
  return createDissector({ name: '', module, options }, CONTEXT);
}

/** A STUN binding request with these attributes. */
function stun(...attributes: readonly (readonly [number, string])[]): Uint8Array {
  const body = attributes.flatMap(([type, value]) => [
    ...[type >>> 8, type & 0xff, value.length >>> 8, value.length & 0xff],
    ...Buffer.from(value),
    ...new Array<number>((4 - (value.length & 3)) & 3).fill(0),
  ]);
  const header = [0, 1, body.length >>> 8, body.length & 0xff, 0x21, 0x12, 0xa4, 0x42];
  return Uint8Array.from([...header, ...new Array<number>(12).fill(7), ...body]);
}

describe('built-in dissectors', () => {
  it('have the names that the configuration knows', () => {
    expect(DISSECTOR_NAMES).toEqual([
      'four-tuple',
      'two-tuple',
      'source-address',
      'wireguard-clientid',
      'quic-cid',
      'ipsec-spi',
    ]);
  });

  it('say what is wrong with their options, and where', () => {
    expect(() => make('five-tuple')).toThrow(
      'there is no dissector named five-tuple: choose four-tuple, two-tuple, source-address, wireguard-clientid, quic-cid, ipsec-spi, or name a file with module',
    );
    expect(() => make('wireguard-clientid', { cleer: true })).toThrow(
      'unknown option cleer: wireguard-clientid has clear',
    );
    expect(() => make('four-tuple', { seed: 1 })).toThrow('seed: four-tuple takes no options');
    try {
      make('wireguard-clientid', { clear: 'yes' });
      expect.unreachable();
    } catch (error) {
      expect((error as DissectorError).problems).toEqual([
        { path: ['clear'], message: expect.stringContaining('boolean') },
      ]);
    }
  });
});

describe("a user's own dissector", () => {
  const example = () => createDissector({ name: '', module: EXAMPLE, options: {} }, CONTEXT);

  it('is loaded from its file: the example of the guide', () => {
    const dissector = example();
    expect(dissector.name).toBe('stun-username');
    expect(outcomeOf(dissector, makeUdp(stun([0x0006, 'alice:bob'])))).toBe(
      `key ${Buffer.from('alice:bob').toString('hex')}`,
    );
    expect(outcomeOf(dissector, makeUdp(stun([0x8022, 'software'], [0x0006, 'x'])))).toBe('key 78');
    expect(outcomeOf(dissector, makeUdp(stun([0x8022, 'software'])))).toBe('fallback');
    expect(outcomeOf(dissector, makeUdp(Uint8Array.of(1, 2, 3)))).toBe('fallback');
    const cut = stun([0x0006, 'alice:bob']).subarray(0, 26);
    expect(outcomeOf(dissector, makeUdp(cut))).toBe('drop bad_attribute');
  });

  it('takes its options as they are, where it has no shape for them', () => {
    const short = createDissector({ name: '', module: EXAMPLE, options: { longest: 3 } }, CONTEXT);
    expect(outcomeOf(short, makeUdp(stun([0x0006, 'alice:bob'])))).toBe('key 616c69');
  });

  it('is believed in nothing: exceptions and nonsense drop the packet, for reasons that are counted', () => {
    const own = (body: string) =>
      load(`export default { name: "x", create: () => ({ drops: ["mine"], ${body} }) }`);
    const packet = makeUdp(Uint8Array.of(1));
    const outcome = (body: string) => outcomeOf(own(body), packet);
    expect(outcome('dissect() { throw new Error("x"); }')).toBe('drop exception');
    for (const nonsense of ['200', '1.5', '-4', '-102', 'NaN', '"3"', 'undefined', '65']) {
      expect(outcome(`dissect: () => ${nonsense}`)).toBe('drop bad_result');
    }
    expect(outcome('dissect: () => -2')).toBe('drop mine');
    expect(outcome('dissect: () => 0')).toBe('fallback');
    // Host order, as the context has it.
    expect(outcome('dissect(p, f, key) { key.server = 0xc0a80201; return -1; }')).toBe('server 192.168.2.1');
    const key = new FlowKey();
    own('dissect(p, f, k) { k.server = 0xc0a80201; return -1; }').dissect(new IpPacket(), new Flow(), key);
    expect(key.server).toBe(0xc0a80201 | 0);
  });

  it('names a quoted flow by the 4-tuple where its own way fails, and delivers what it could not change', () => {
    const own = (body: string) =>
      load(`export default { name: "x", create: () => ({ dissect: () => 0, ${body} }) }`);
    const flow = new Flow();
    flow.data = new DataView(new ArrayBuffer(64));
    flow.version = 4;
    const key = new FlowKey();
    for (const body of [
      'dissectQuoted: () => 0',
      'dissectQuoted() { throw 1; }',
      'dissectQuoted: () => 99',
    ]) {
      expect(own(body).dissectQuoted?.(flow, key)).toBe(12);
    }
    expect(own('dissectQuoted: () => 3').dissectQuoted?.(flow, key)).toBe(3);
    expect(own('deliver() { throw 1; }').deliver?.(new IpPacket())).toBeUndefined();
    expect(own('').deliver).toBeUndefined();
  });

  it('is not taken up again when its file has changed: some threads would have the one, some the other', () => {
    const module = join(directory, 'edited.mjs');
    const spec = { name: '', module, options: {} };
    writeFileSync(module, 'export default { name: "x", create: () => ({ dissect: () => 0 }) }');
    expect(createDissector(spec, CONTEXT).name).toBe('x');
    expect(createDissector(spec, CONTEXT).name).toBe('x');
    writeFileSync(module, 'export default { name: "y", create: () => ({ dissect: () => 0 }) }');
    expect(() => createDissector(spec, CONTEXT)).toThrow('it has changed since it was loaded: restart');
  });

  it('gives any datagram an end', () => {
    const dissector = example();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (data, isStun) => {
        const bytes = isStun ? Uint8Array.from([...stun(), ...data]) : data;
        expect(outcomeOf(dissector, makeUdp(bytes))).toMatch(
          /^(key ([0-9a-f]{2})+|fallback|drop bad_attribute)$/,
        );
      }),
    );
  });

  it('is refused with a reason when it is none', () => {
    expect(() => load('export default 1')).toThrow(
      'must export { name, create(options, context) } as default',
    );
    expect(() => load('export default { name: "Bad Name", create() {} }')).toThrow('must export');
    expect(() => load('syntax error')).toThrow('cannot be loaded');
    expect(() => load('export default { name: "x", create() { return {}; } }')).toThrow(
      'create() must return an object with dissect(packet, flow, key)',
    );
    expect(() => load('export default { name: "x", create() { throw new Error("give a table"); } }')).toThrow(
      'give a table',
    );
    expect(() =>
      load('export default { name: "x", create: () => ({ name: "x", drops: ["a b"], dissect: () => 0 }) }'),
    ).toThrow('drops must be at most 6 names');
    expect(() => load('export default null')).toThrow('must export');
    expect(() => load('export default { name: "x", protocols: 17, create() {} }')).toThrow('must export');
    expect(() =>
      load('export default { name: "x", create: () => ({ drops: "abc", dissect() {} }) }'),
    ).toThrow('drops');
    expect(() => load('export default { name: "x", create: () => ({ dissect() {}, deliver: 1 }) }')).toThrow(
      'deliver must be a function',
    );
    expect(() =>
      createDissector({ name: '', module: join(directory, 'none.mjs'), options: {} }, CONTEXT),
    ).toThrow(DissectorError);
  });
});
