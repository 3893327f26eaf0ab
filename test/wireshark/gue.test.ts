import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openWriter } from '../../src/io/capture/writer.js';
import { dissect, type Layer } from '../../src/replay/dissect/dissect.js';
import { GUE_AT_HOPS, GUE_PORT, gueOverhead } from '../../src/wire/gue.js';
import { LINKTYPE } from '../../src/wire/link.js';
import { makePacket, wrapPacket } from '../path/packets.js';
import { describePrivileged } from '../privileged.js';
import { concat, dataOf, hex } from '../wire/bytes.js';

/**
 * The Wireshark dissector and our own must say the same of every header, sound or not: two programs in two languages
 * that read the same bytes.
 */

const SCRIPT = fileURLToPath(new URL('../../scripts/wireshark/twohop-gue.lua', import.meta.url));
const GUE_AT = 28;

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-wireshark-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function capture(packets: readonly Uint8Array[], missing = 0): Promise<string> {
  const path = join(directory, 'in.pcap');
  const writer = openWriter(path);
  const iface = writer.addInterface({ linkType: LINKTYPE.RAW });
  packets.forEach((packet, index) => {
    const bytes = Buffer.from(packet);
    writer.write(iface, index, 0, bytes, 0, bytes.length - missing, bytes.length, '');
  });
  await writer.close();
  return path;
}

/** Runs tshark with the script and nothing of this user's own. */
function tshark(path: string, ...words: string[]): string {
  const home = { HOME: directory, XDG_CONFIG_HOME: directory, XDG_DATA_HOME: directory };
  const { stdout, stderr, status } = spawnSync(
    'tshark',
    ['-X', `lua_script:${SCRIPT}`, '-n', '-r', path, ...words],
    { encoding: 'utf8', env: { ...process.env, ...home }, maxBuffer: 2 ** 28 },
  );
  if (status !== 0 || /Lua/.test(stderr)) throw new Error(`tshark ends with ${status}: ${stderr}`);
  expect(stdout).not.toMatch(/Lua Error/);
  return stdout;
}

const FIELDS = [
  'gue.variant',
  'gue.control',
  'gue.hlen',
  'gue.proto',
  'gue.flags',
  'twohop.version',
  'twohop.forward_syn',
  'twohop.last_hop_gre',
  'twohop.unused',
  'twohop.reserved',
  'twohop.next_hop',
  'twohop.hop_count',
  'twohop.hop',
  'twohop.hop.next',
  'twohop.overhead',
] as const;
const EXPERT = '_ws.expert.message';
type Row = Readonly<Record<(typeof FIELDS)[number] | typeof EXPERT, string>>;

/** All occurrences of each field in each packet, with `|` between them. */
function rowsOf(path: string): Row[] {
  const names = [...FIELDS, EXPERT];
  const text = tshark(
    path,
    ...['-T', 'fields', '-E', 'occurrence=a', '-E', 'aggregator=|', '-E', 'separator=/t'],
    ...names.flatMap((name) => ['-e', name]),
  );
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.map((line) => {
    const values = line.split('\t');
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? ''])) as Row;
  });
}

/** The same from our own dissection. */
function expectedRow(layers: readonly Layer[]): Omit<Row, typeof EXPERT> {
  const layer = layers.find(({ protocol }) => protocol === 'GUE');
  const fields = layer?.fields ?? [];
  const values = (name: string | RegExp) =>
    fields.filter((field) => (typeof name === 'string' ? field.name === name : name.test(field.name)));
  const value = (name: string | RegExp) =>
    values(name)
      .map((field) => field.value)
      .join('|');
  const hlen = value('Hlen');
  const isVariant1 = layer?.summary === 'variant 1';
  const isWhole = value('Hop Count') !== '' && (layer?.length ?? 0) >= 4 + 4 * Number(hlen);
  return {
    'gue.variant': isVariant1 ? '1' : value('Variant'),
    'gue.control': value('C'),
    'gue.hlen': hlen,
    'gue.proto': value(/^(Proto|Ctype)$/),
    'gue.flags': value('Flags'),
    'twohop.version': value('Version'),
    'twohop.forward_syn': value('S'),
    'twohop.last_hop_gre': value('G'),
    'twohop.unused': value('Unused'),
    'twohop.reserved':
      value('Reserved') === '' ? '' : `0x${Number(value('Reserved')).toString(16).padStart(2, '0')}`,
    'twohop.next_hop': value('Next Hop'),
    'twohop.hop_count': value('Hop Count'),
    'twohop.hop': value(/^Hop \d+$/),
    'twohop.hop.next': values(/^Hop \d+$/)
      .filter(({ note }) => note === 'next')
      .map((field) => field.value)
      .join('|'),
    'twohop.overhead': isWhole ? String(gueOverhead(Number(hlen) - 1)) : '',
  };
}

function compare(packets: readonly Uint8Array[], rows: readonly Row[], cut = 0): void {
  expect(rows).toHaveLength(packets.length);
  packets.forEach((packet, index) => {
    const here = packet.subarray(0, packet.length - cut);
    const layers = dissect(here, LINKTYPE.RAW, { originalLength: packet.length });
    const { [EXPERT]: messages, ...fields } = rows[index];
    const bytes = Buffer.from(packet).toString('hex');
    expect({ bytes, ...fields }).toEqual({ bytes, ...expectedRow(layers) });
    const ours = layers.find(({ protocol }) => protocol === 'GUE')?.problem?.split('; ') ?? [];
    // Others of its dissectors may have something to say as well.
    const theirs = messages.split('|').filter((message) => OURS.test(message));
    expect([bytes, ...theirs.sort()]).toEqual([bytes, ...ours.sort()]);
  });
}

const OURS =
  /^(cut short|private data|reserved bits|Hlen|next hop is|variant|a control|flags|no list|protocol \d+ is)/;

const SOUND = fc
  .record({
    version: fc.constantFrom(4 as const, 6 as const),
    hops: fc.array(
      fc.integer({ min: 1, max: 254 }).map((last) => `10.0.3.${last}`),
      { maxLength: 4 },
    ),
    nextHop: fc.nat(4),
    flags: fc.constantFrom(0, 4, 8, 12),
    payload: fc.nat(20),
  })
  .map(({ version, hops, nextHop, flags, payload }) => {
    const packet = wrapPacket(makePacket({ version, payload }), {
      hops,
      nextHop: Math.min(nextHop, hops.length),
    });
    packet[GUE_AT + 4] = flags;
    return packet;
  });

/** Bytes of the GUE header changed, and perhaps the datagram cut behind them. */
const MALFORMED = fc
  .tuple(
    SOUND,
    fc.array(fc.tuple(fc.nat(GUE_AT_HOPS - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 4, 41))), {
      minLength: 1,
      maxLength: 2,
    }),
    fc.option(fc.nat(30), { freq: 3 }),
  )
  .map(([sound, changes, length]) => {
    const packet = length === null ? Uint8Array.from(sound) : sound.slice(0, GUE_AT + length);
    for (const [at, value] of changes) if (GUE_AT + at < packet.length) packet[GUE_AT + at] = value;
    const data = dataOf(packet);
    data.setUint16(2, packet.length);
    data.setUint16(24, packet.length - 20);
    return packet;
  })
  // Without a byte of GUE there is nothing to ask for.
  .filter((packet) => packet.length > GUE_AT);

describePrivileged('scripts/wireshark/twohop-gue.lua', ['tshark'], () => {
  it('reads sound headers as we do', async () => {
    const packets = fc.sample(SOUND, { numRuns: 300, seed: 1 });
    const rows = rowsOf(await capture(packets));
    compare(packets, rows);
    expect(rows.filter((row) => row['twohop.hop.next'] !== '').length).toBeGreaterThan(50);
  });

  it('reads malformed headers as we do, and says the same of them', async () => {
    const packets = fc.sample(MALFORMED, { numRuns: 1500, seed: 2 });
    const rows = rowsOf(await capture(packets));
    compare(packets, rows);
    for (const start of [
      'cut short',
      'private',
      'reserved',
      'Hlen',
      'next',
      'variant',
      'a control',
      'flags',
      'no list',
      'protocol',
    ]) {
      expect(
        rows.some((row) => row[EXPERT].split('|').some((message) => message.startsWith(start))),
        start,
      ).toBe(true);
    }
  });

  it('reads variant 1', async () => {
    const packets = [makePacket(), makePacket({ version: 6 })].map((inner) => {
      const packet = concat(wrapPacket(new Uint8Array([0x40])).subarray(0, GUE_AT), inner);
      dataOf(packet).setUint16(2, packet.length);
      dataOf(packet).setUint16(24, packet.length - 20);
      return packet;
    });
    const path = await capture(packets);
    compare(packets, rowsOf(path));
    const protocols = tshark(path, '-T', 'fields', '-e', 'frame.protocols').trim().split('\n');
    expect(protocols).toEqual(['raw:ip:udp:gue:ip:tcp', 'raw:ip:udp:gue:ipv6:tcp']);
  });

  it('reads lists that the snap length cut, and does not call them malformed', async () => {
    const packets = fc.sample(SOUND, { numRuns: 100, seed: 3 }).map((packet) => packet.slice(0, 60));
    for (const packet of packets) dataOf(packet).setUint16(2, packet.length);
    for (const packet of packets) dataOf(packet).setUint16(24, packet.length - 20);
    for (const cut of [22, 26, 30]) compare(packets, rowsOf(await capture(packets, cut)), cut);
  });

  it('hands the packet inside to the dissectors of its protocol', async () => {
    const packets = [
      wrapPacket(makePacket(), { hops: ['10.0.3.1'] }),
      wrapPacket(makePacket({ version: 6, protocol: 'udp' }), { hops: ['10.0.2.1', '10.0.3.1'], nextHop: 2 }),
    ];
    const text = tshark(await capture(packets), '-T', 'json');
    // Of a protocol that comes twice, JSON.parse keeps the second: the inner one.
    const layers: Record<string, Record<string, unknown>>[] = JSON.parse(text).map(
      (packet: { _source: { layers: object } }) => packet._source.layers,
    );
    expect(layers[0]).toMatchObject({
      gue: { 'gue.hlen': '2', twohop: { 'twohop.hop': '10.0.3.1', 'twohop.overhead': '40' } },
      tcp: { 'tcp.dstport': '80' },
    });
    expect(layers[1]).toMatchObject({ gue: { 'gue.proto': '41' }, ipv6: { 'ipv6.src': '2001:db8:c::7' } });
  });

  it('tells of the wrapper in the info column', async () => {
    const packets = [
      wrapPacket(makePacket({ payload: 0 }), { hops: ['10.0.2.1', '10.0.3.1'], nextHop: 1 }),
      wrapPacket(makePacket({ version: 6, protocol: 'udp' })),
    ];
    const lines = tshark(await capture(packets), '-T', 'fields', '-e', '_ws.col.Info')
      .trim()
      .split('\n');
    expect(lines[0]).toMatch(/^GUE hops \[10\.0\.2\.1 \*10\.0\.3\.1\] \| 40000 → 80 \[SYN\] /);
    expect(lines[1]).toMatch(/^GUE no hops \| 40000 → 80 Len=4/);
  });

  it('filters by the fields', async () => {
    const packets = [[], ['10.0.3.1'], ['10.0.2.1', '10.0.3.1']].map((hops) =>
      wrapPacket(makePacket(), { hops }),
    );
    packets.push(wrapPacket(hex('00'), { hops: ['10.0.3.1'], nextHop: 2 }));
    const path = await capture(packets);
    const numbers = (filter: string) =>
      tshark(path, '-Y', filter, '-T', 'fields', '-e', 'frame.number').trim();
    expect(numbers('twohop.hop == 10.0.3.1')).toBe('2\n3\n4');
    expect(numbers('twohop.hop.next == 10.0.3.1')).toBe('2');
    expect(numbers('twohop.hop_count == 2 && gue')).toBe('3');
    expect(numbers('twohop.malformed')).toBe('4');
    expect(numbers('twohop.overhead > 36')).toBe('2\n3\n4');
  });

  it('listens on the ports of its preference', async () => {
    const path = await capture([GUE_PORT, 19523, 7000].map((port) => wrapPacket(makePacket(), { port })));
    const numbers = (...words: string[]) =>
      tshark(path, '-Y', 'gue', '-T', 'fields', '-e', 'frame.number', ...words).trim();
    expect(numbers()).toBe('1\n2');
    expect(numbers('-o', 'gue.ports:7000')).toBe('3');
    expect(numbers('-o', 'gue.ports:6080,7000')).toBe('1\n3');
  });
});
