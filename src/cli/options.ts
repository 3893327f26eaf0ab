/** Option parsers that several commands share. */

/** Gathers the values of an option that may be repeated. */
export function repeated(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
}
