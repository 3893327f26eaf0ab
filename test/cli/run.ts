import { type Command, CommanderError } from 'commander';
import { vi } from 'vitest';
import { fail } from '../../src/cli/exit.js';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command in this process, as the command line would. */
export async function runCommand(command: Command, words: readonly string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text, ...rest) => {
    out += String(text);
    return written(rest);
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text, ...rest) => {
    err += String(text);
    return written(rest);
  });
  const earlier = process.exitCode;
  process.exitCode = 0;
  try {
    override(command);
    await command.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else fail(error);
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  const code = Number(process.exitCode);
  process.exitCode = earlier;
  return { code, out, err };
}

/** Who waits for the end of a write is told of it. */
function written(rest: readonly unknown[]): true {
  for (const callback of rest) if (typeof callback === 'function') callback();
  return true;
}

function override(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) override(child);
}
