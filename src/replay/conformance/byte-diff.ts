/**
 * Two runs of bytes side by side, for people:
 *
 * ```
 * 2 of 56 bytes differ, the first at 25 (0x19)
 * offset  expected                 got
 *     24  11 e0 5f 0a 00 00 09 7f  11 e1 60 0a 00 00 09 7f
 *            ^^ ^^                    ^^ ^^
 * ```
 */

const PER_ROW = 8;
const ROW_WIDTH = 3 * PER_ROW - 1;

/**
 * @param most rows to show; further ones that differ are counted
 * @returns lines; none when both are the same. Where one is shorter, `--` stands for its missing bytes.
 */
export function byteDiff(expected: Uint8Array, got: Uint8Array, most = 8): string[] {
  const length = Math.max(expected.length, got.length);
  const rows: number[] = [];
  let first = -1;
  let differing = 0;
  for (let at = 0; at < length; at++) {
    if (expected[at] === got[at]) continue;
    if (first < 0) first = at;
    differing++;
    const row = at - (at % PER_ROW);
    if (rows[rows.length - 1] !== row) rows.push(row);
  }
  if (first < 0) return [];

  const lines = [
    `${differing} of ${length} bytes differ, the first at ${first} (0x${first.toString(16)})`,
    ...(expected.length === got.length
      ? []
      : [`expected are ${expected.length} bytes, got were ${got.length}`]),
    `offset  ${'expected'.padEnd(ROW_WIDTH)}  got`,
  ];
  for (const row of rows.slice(0, most)) {
    const marks = markRow(expected, got, row, length);
    lines.push(`${String(row).padStart(6)}  ${hexRow(expected, row)}  ${hexRow(got, row)}`.trimEnd());
    lines.push(`${' '.repeat(8)}${marks}  ${marks}`.trimEnd());
  }
  if (rows.length > most) lines.push(`and ${rows.length - most} more rows that differ`);
  return lines;
}

function hexRow(bytes: Uint8Array, row: number): string {
  const cells: string[] = [];
  for (let at = row; at < row + PER_ROW; at++) {
    cells.push(at < bytes.length ? bytes[at].toString(16).padStart(2, '0') : '--');
  }
  return cells.join(' ');
}

function markRow(expected: Uint8Array, got: Uint8Array, row: number, length: number): string {
  const cells: string[] = [];
  for (let at = row; at < row + PER_ROW; at++) {
    cells.push(at < length && expected[at] !== got[at] ? '^^' : '  ');
  }
  return cells.join(' ').padEnd(ROW_WIDTH);
}
