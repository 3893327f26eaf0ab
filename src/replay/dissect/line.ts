import type { Layer } from './layer.js';
import { type Paint, PLAIN } from './paint.js';

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

/**
 * The packet in one line: `SOURCE > DESTINATION PROTOCOL ...` per IP header, `|` in front of a packet that another one
 * wraps, `about` in front of one that an ICMP error quotes, and behind it all what is wrong.
 */
export function oneLine(layers: readonly Layer[], paint: Paint = PLAIN): string {
  if (layers.length === 0) return 'empty';
  const words: string[] = [];
  const problems: string[] = [];
  for (let index = 0; index < layers.length; index++) {
    const { protocol, problem } = layers[index];
    addWords(words, layers, index);
    if (problem !== undefined) problems.push(`${protocol}: ${problem}`);
  }
  const [first] = layers;
  if (words.length === 0) words.push(`${first.protocol} ${first.summary}`.trim());
  if (problems.length > 0) words.push(paint.problem(`[${problems.join('; ')}]`));
  else if (first.missing !== undefined) words.push(paint.faint(`(${first.missing} bytes missing)`));
  return words.join(' ');
}

function addWords(words: string[], layers: readonly Layer[], index: number): void {
  const { protocol, summary, quoted } = layers[index];
  if (SILENT.has(protocol)) return;
  if (isIp(protocol)) {
    addAddresses(words, layers, index);
  } else if (protocol === 'Fragment') {
    words.push('fragment', summary);
  } else if (protocol === 'TCP' || protocol === 'UDP') {
    // The ports stand behind the addresses already.
    if (quoted) words.push(protocol);
    else if (!speaksForUdp(layers.at(index + 1)))
      addNamed(words, protocol, ENDS.exec(summary)?.[3] ?? summary);
  } else {
    addNamed(words, protocol, summary);
  }
}

function addNamed(words: string[], protocol: string, rest: string): void {
  words.push(protocol);
  if (rest !== '') words.push(rest);
}

/** UDP needs no word of its own in front of these. */
function speaksForUdp(layer: Layer | undefined): boolean {
  const protocol = layer?.protocol;
  return protocol === 'GUE' || protocol === 'WireGuard' || protocol === 'QUIC';
}

function isIp(protocol: string): boolean {
  return protocol === 'IPv4' || protocol === 'IPv6';
}

/** The addresses, with the ports of the header that follows. */
function addAddresses(words: string[], layers: readonly Layer[], index: number): void {
  const { protocol, summary, quoted } = layers[index];
  const around = layers.slice(0, index).findLast((layer) => isIp(layer.protocol));
  if (around !== undefined) words.push(quoted && !around.quoted ? 'about' : '|');
  const ends = ENDS.exec(summary);
  if (ends === null) {
    words.push(protocol);
    return;
  }
  const [, source, destination, rest] = ends;
  const ports = portsBehind(layers, index);
  words.push(withPort(source, ports?.[1]), '>', withPort(destination, ports?.[2]));
  if (rest !== '') words.push(rest);
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
