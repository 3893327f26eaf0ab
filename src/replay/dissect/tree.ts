import type { Field, Layer } from './layer.js';
import { type Paint, PLAIN } from './paint.js';

/**
 * The packet byte by byte: a line per layer with what it spans, and under it a line per field with the offset of its
 * first byte, the bytes, the name, the value and what it means. What a layer carries is indented under it.
 */
export function tree(layers: readonly Layer[], paint: Paint = PLAIN): string[] {
  const lines: string[] = [];
  const around: Layer[] = [];
  for (const layer of layers) {
    while (around.length > 0 && layer.offset >= endOf(around[around.length - 1])) around.pop();
    const indent = '  '.repeat(around.length);
    lines.push(...layerLines(layer, paint).map((line) => indent + line));
    around.push(layer);
  }
  return lines;
}

function endOf(layer: Layer): number {
  return layer.offset + layer.length;
}

function layerLines(layer: Layer, paint: Paint): string[] {
  const { protocol, summary, fields, problem } = layer;
  const remarks = [`bytes ${layer.offset}-${endOf(layer) - 1}`];
  if (layer.quoted) remarks.unshift('quoted');
  if (layer.missing !== undefined) remarks.push(`${layer.missing} missing`);
  const title = [paint.title(protocol), summary, paint.faint(`(${remarks.join(', ')})`)];
  const lines = [title.filter((part) => part !== '').join(' ')];
  if (problem !== undefined) lines.push(paint.problem(`  ! ${problem}`));
  const hexWidth = Math.max(LEAST_HEX_WIDTH, ...fields.map(({ hex }) => hex.length));
  const nameWidth = Math.max(0, ...fields.map(({ name }) => name.length));
  return [...lines, ...fields.map((field) => fieldLine(field, hexWidth, nameWidth, paint))];
}

/** Four bytes, as most fields have at most. */
const LEAST_HEX_WIDTH = 8;
const OFFSET_WIDTH = 5;

function fieldLine(field: Field, hexWidth: number, nameWidth: number, paint: Paint): string {
  const { offset, hex, name, value, note } = field;
  const bytes = `  ${String(offset).padStart(OFFSET_WIDTH)}  ${hex.padEnd(hexWidth)}`;
  const line = `${paint.faint(bytes)}  ${name.padEnd(nameWidth)}  ${value}`;
  return note === undefined ? line : `${line} ${paint.faint(`(${note})`)}`;
}
