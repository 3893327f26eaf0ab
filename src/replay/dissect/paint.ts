/** How parts of the text are set off on a terminal; the text itself is the same. */
export interface Paint {
  readonly title: (text: string) => string;
  readonly problem: (text: string) => string;
  readonly faint: (text: string) => string;
}

function same(text: string): string {
  return text;
}

export const PLAIN: Paint = { title: same, problem: same, faint: same };
