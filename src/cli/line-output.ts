import type { Writable } from 'node:stream';

const GATHERED_CHARACTERS = 65_536;

/**
 * Text for standard output, line by line. Lines are gathered, as a write for each takes longer than making them; and
 * when nobody reads any more (`| head`), that is no error but the end.
 */
export class LineOutput {
  /** Nobody reads any more. */
  closed = false;
  private text = '';

  constructor(private readonly stream: Writable = process.stdout) {
    stream.on('error', this.onError);
  }

  line(text: string): void {
    this.text += `${text}\n`;
    if (this.text.length >= GATHERED_CHARACTERS) this.flush();
  }

  /** Hands on what was gathered, such as before waiting for more input. */
  flush(): void {
    const text = this.text;
    this.text = '';
    if (text !== '' && !this.closed) this.stream.write(text);
  }

  /** Waits until everything is written, or nobody reads it. */
  async end(): Promise<void> {
    this.flush();
    if (!this.closed) await new Promise<void>((resolve) => this.stream.write('', () => resolve()));
    this.stream.off('error', this.onError);
  }

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    this.closed = true;
  };
}
