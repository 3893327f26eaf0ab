import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFileLater } from './replace-file.js';

/**
 * Writes copies of what a node has from the store, so that it starts without one. The newest counts: what was
 * replaced while an earlier copy was being written is never written.
 */
export class CopyWriter {
  private next: (() => Uint8Array | string) | null = null;
  private working: Promise<void> | null = null;
  private failing = false;

  constructor(
    readonly path: string,
    /** The copy could not be written, and why; told once, until it can be written again. */
    private readonly failed: (message: string) => void,
  ) {}

  /** @param content called when it is written */
  write(content: () => Uint8Array | string): void {
    this.next = content;
    this.working ??= this.work();
  }

  /** Resolves when everything is written, or could not be. */
  async settled(): Promise<void> {
    await this.working;
  }

  private async work(): Promise<void> {
    while (this.next !== null) {
      const content = this.next;
      this.next = null;
      try {
        await mkdir(dirname(this.path), { recursive: true });
        await replaceFileLater(this.path, content());
        this.failing = false;
      } catch (error) {
        if (!this.failing) this.failed(error instanceof Error ? error.message : String(error));
        this.failing = true;
      }
    }
    this.working = null;
  }
}
