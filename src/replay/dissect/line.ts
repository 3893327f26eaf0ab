import type { Layer } from './layer.js';

/** What begins the summary of a layer with two ends, and what follows. */
const ENDS = /^(\S+) > (\S+) ?(.*)$/;

/** Not worth a word while there is more to say. */
const SILENT: ReadonlySet<string> = new Set([
  'Ethernet',
  'Linux SLL',
  'Linux SLL2',
  'Null',
  'Loop',
  'Hop-by-Hop Options',
  'Destination Options',
  'ICMP Extensions',
  'Payload',
  'Trailer',
]);

/** UDP needs no word of its own in front of these. */
const OVER_UDP: ReadonlySet<string> = new Set(['GUE', 'WireGuard', 'QUIC']);

/**
 * The packet in one line: `SOURCE > DESTINATION PROTOCOL ...` per IP header, `|` in front of a packet that another one
 * wraps, `about` in front of one that an ICMP error quotes, and behind it all what is wrong.
 */
export function oneLine(layers: readonly Layer[]): string {
  if (layers.length === 0) return 'empty';
  const words = layers.flatMap((_, index) => wordsOf(layers, index));
  const [first] = layers;
  if (words.length === 0) words.push(`${first.protocol} ${first.summary}`.trim());
  const problems = layers.flatMap(({ protocol, problem }) => (problem ? [`${protocol}: ${problem}`] : []));
  if (problems.length > 0) words.push(`[${problems.join('; ')}]`);
  else if (first.missing !== undefined) words.push(`(${first.missing} bytes missing)`);
  return words.join(' ');
}

function wordsOf(layers: readonly Layer[], index: number): string[] {
  const { protocol, summary, quoted } = layers[index];
  if (SILENT.has(protocol)) return [];
  if (isIp(protocol)) return ipWords(layers, index);
  if (protocol === 'Fragment') return ['fragment', summary];
  if (protocol === 'TCP' || protocol === 'UDP') {
    if (quoted) return [protocol];
    if (OVER_UDP.has(layers.at(index + 1)?.protocol ?? '')) return [];
  }
  // The ports stand behind the addresses already.
  const rest = ENDS.exec(summary)?.[3] ?? summary;
  return rest === '' ? [protocol] : [protocol, rest];
}

function isIp(protocol: string): boolean {
  return protocol === 'IPv4' || protocol === 'IPv6';
}

/** The addresses, with the ports of the header that follows. */
function ipWords(layers: readonly Layer[], index: number): string[] {
  const { protocol, summary, quoted } = layers[index];
  const around = layers.slice(0, index).findLast((layer) => isIp(layer.protocol));
  const words = around === undefined ? [] : [quoted && !around.quoted ? 'about' : '|'];
  const ends = ENDS.exec(summary);
  if (ends === null) return [...words, protocol];
  const [, source, destination, rest] = ends;
  const ports = portsBehind(layers, index);
  words.push(withPort(source, ports?.[1]), '>', withPort(destination, ports?.[2]));
  if (rest !== '') words.push(rest);
  return words;
}

/** The ports of GUE say nothing: the destination's is always the same, the source's is a hash of the flow within. */
function portsBehind(layers: readonly Layer[], index: number): RegExpExecArray | null {
  for (let at = index + 1; at < layers.length && !isIp(layers[at].protocol); at++) {
    const { protocol, summary } = layers[at];
    if (protocol !== 'TCP' && protocol !== 'UDP') continue;
    return layers.at(at + 1)?.protocol === 'GUE' ? null : ENDS.exec(summary);
  }
  return null;
}

function withPort(address: string, port: string | undefined): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
