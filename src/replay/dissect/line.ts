import type { Layer } from './layer.js';

/** What begins the summary of a layer with two ends. */
const ENDS = /^(\S+) > (\S+) ?(.*)$/;

/** Not worth a word where a line is all there is. */
const SILENT: ReadonlySet<string> = new Set([
  'Ethernet',
  'Linux SLL',
  'Linux SLL2',
  'Null',
  'Loop',
  'Trailer',
]);

/**
 * The packet in one line: `SOURCE > DESTINATION PROTOCOL ...` per IP header, `|` in front of a packet that another one
 * wraps, `about` in front of one that an ICMP error quotes, and behind it all what is wrong.
 */
export function oneLine(layers: readonly Layer[]): string {
  const words: string[] = [];
  layers.forEach((layer, index) => {
    words.push(...describe(layers, layer, index, words.length > 0));
  });
  const problems = layers.flatMap(({ protocol, problem }) => (problem ? [`${protocol}: ${problem}`] : []));
  if (problems.length > 0) words.push(`[${problems.join('; ')}]`);
  return words.join(' ');
}

function describe(layers: readonly Layer[], layer: Layer, index: number, behind: boolean): string[] {
  const { protocol, summary } = layer;
  if (SILENT.has(protocol)) return index === layers.length - 1 && index === 0 ? [protocol, summary] : [];
  const next = layers.at(index + 1);
  if (protocol === 'IPv4' || protocol === 'IPv6') return ipWords(layers, index, behind);
  if (protocol === 'UDP' && next !== undefined && SPEAKS_FOR_UDP.has(next.protocol)) return [];
  // A header with ports gave them to the addresses before it.
  const rest = ENDS.exec(summary)?.[3] ?? summary;
  if (layer.quoted && (protocol === 'TCP' || protocol === 'UDP')) return [protocol];
  if (protocol === 'Payload') return [];
  return rest === '' ? [protocol] : [protocol, rest];
}

const SPEAKS_FOR_UDP: ReadonlySet<string> = new Set(['GUE', 'WireGuard', 'QUIC']);

/** The addresses, with the ports of the header behind them. */
function ipWords(layers: readonly Layer[], index: number, behind: boolean): string[] {
  const layer = layers[index];
  const ends = ENDS.exec(layer.summary);
  const words = behind ? [layer.quoted && !layers[index - 1].quoted ? 'about' : '|'] : [];
  if (ends === null) return [...words, layer.protocol];
  const [, source, destination, rest] = ends;
  const ports = portsBehind(layers, index);
  words.push(withPort(source, ports?.[1]), '>', withPort(destination, ports?.[2]));
  if (rest !== '') words.push(rest);
  return words;
}

/** The ports of GUE say nothing: the destination's is always the same, the source's is a hash of the flow within. */
function portsBehind(layers: readonly Layer[], index: number): RegExpExecArray | null {
  for (let at = index + 1; at < layers.length; at++) {
    const { protocol, summary } = layers[at];
    if (protocol === 'IPv4' || protocol === 'IPv6') return null;
    if (protocol === 'TCP' || protocol === 'UDP') {
      return layers.at(at + 1)?.protocol === 'GUE' ? null : ENDS.exec(summary);
    }
  }
  return null;
}

function withPort(address: string, port: string | undefined): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
