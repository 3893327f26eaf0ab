/** A packet line that cannot be read; the message says where and what was expected. */
export class PacketScriptError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PacketScriptError';
  }
}

interface Token {
  readonly text: string;
  /** Written in quotes: never a keyword. */
  readonly quoted: boolean;
  /** From 1. */
  readonly column: number;
}

/** The words of a packet line, one after the other. Parentheses are words of their own; "..." is one word. */
export class Tokens {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(private readonly line: string) {
    this.tokens = [...line.matchAll(/"([^"]*)"|[()]|[^\s()"]+|"/g)].map((match) => ({
      text: match[1] ?? match[0],
      quoted: match[1] !== undefined,
      column: match.index + 1,
    }));
  }

  /** The next word, without taking it; '' at the end and for what is in quotes. */
  get peek(): string {
    const token = this.tokens[this.at];
    return token === undefined || token.quoted ? '' : token.text;
  }

  get atEnd(): boolean {
    return this.at === this.tokens.length;
  }

  /** Takes the next word. @param expected for the message when there is none */
  take(expected: string): string {
    const token = this.tokens[this.at];
    if (token === undefined) throw this.error(`expected ${expected}`);
    this.at++;
    return token.text;
  }

  /** Takes the next word when it is this one. */
  accept(word: string): boolean {
    if (this.peek !== word) return false;
    this.at++;
    return true;
  }

  expect(word: string): void {
    if (!this.accept(word)) throw this.error(`expected ${word}`);
  }

  /** Whether the next word is in quotes. */
  get isQuoted(): boolean {
    return this.tokens[this.at]?.quoted === true;
  }

  /** A whole number, decimal or 0x. */
  number(name: string, least: number, most: number): number {
    const text = this.take(`${name}, a number`);
    const value = /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    this.at--;
    throw this.error(`expected ${name}, a number from ${least} to ${most}`);
  }

  hex(name: string): Uint8Array {
    const text = this.take(`${name}, hexadecimal`);
    if (/^([0-9a-f]{2})+$/i.test(text)) return Buffer.from(text, 'hex');
    this.at--;
    throw this.error(`expected ${name}, hexadecimal digits in pairs`);
  }

  /** Goes back to the word taken last, for an error about it. */
  errorBefore(message: string): PacketScriptError {
    this.at--;
    return this.error(message);
  }

  error(message: string): PacketScriptError {
    const token = this.tokens[this.at];
    const found = token === undefined ? 'the line ends' : `there is ${JSON.stringify(token.text)}`;
    const column = token?.column ?? this.line.length + 1;
    return new PacketScriptError(`column ${column}: ${message}, but ${found}: ${this.line}`);
  }
}
