import type { Field, Layer } from './layer.js';

/**
 * The packet byte by byte: a line per layer with what it spans, and under it a line per field with the offset of its
 * first byte, the bytes, the name, the value and what it means. What a layer carries is indented under it.
 */
export function tree(layers: readonly Layer[]): string[] {
  const lines: string[] = [];
  const around: Layer[] = [];
  for (const layer of layers) {
    while (around.length > 0 && layer.offset >= endOf(around[around.length - 1])) around.pop();
    lines.push(...layerLines(layer, around.length));
    around.push(layer);
  }
  return lines;
}

function endOf(layer: Layer): number {
  return layer.offset + layer.length;
}

function layerLines(layer: Layer, depth: number): string[] {
  const indent = '  '.repeat(depth);
  const { protocol, summary, fields, problem } = layer;
  const remarks = [`bytes ${layer.offset}-${endOf(layer) - 1}`];
  if (layer.quoted) remarks.unshift('quoted');
  if (layer.missing !== undefined) remarks.push(`${layer.missing} missing`);
  const title = [`${indent}${protocol}`, summary, `(${remarks.join(', ')})`];
  const lines = [title.filter((part) => part !== '').join(' ')];
  if (problem !== undefined) lines.push(`${indent}  ! ${problem}`);
  const widths = columns(fields);
  for (const field of fields) lines.push(`${indent}  ${fieldLine(field, widths)}`);
  return lines;
}

interface Widths {
  readonly offset: number;
  readonly hex: number;
  readonly name: number;
}

function columns(fields: readonly Field[]): Widths {
  const widest = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => text.length));
  return {
    offset: 5,
    hex: Math.max(8, widest(fields.map(({ hex }) => hex))),
    name: widest(fields.map(({ name }) => name)),
  };
}

function fieldLine({ offset, hex, name, value, note }: Field, widths: Widths): string {
  const line = `${String(offset).padStart(widths.offset)}  ${hex.padEnd(widths.hex)}  ${name.padEnd(widths.name)}  ${value}`;
  return note === undefined ? line : `${line} (${note})`;
}
