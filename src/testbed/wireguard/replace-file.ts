import { renameSync, writeFileSync } from 'node:fs';

/** Gives a file another content: readers see the old or the new, never a part of either. */
export function replaceFile(file: string, text: string): void {
  const draft = `${file}.new`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}
