import { InvalidArgumentError, Option } from 'commander';
import { TestbedError } from '../testbed/errors.js';

/** What `twohop testbed` and `twohop demo` share. */

/** A whole number from 1 to `most`. */
export function count(most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > most) {
      throw new InvalidArgumentError(`It has to be a whole number from 1 to ${most}.`);
    }
    return value;
  };
}

export function failureModeOption(): Option {
  return new Option(
    '--failure-mode <mode>',
    'what a server does while its node is down: take nothing (closed), or everything itself (open)',
  )
    .choices(['closed', 'open'])
    .default('closed');
}

/** Runs a command's work; what a person can put right is printed without a stack, and the exit code is 1. */
export async function reportErrors(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof TestbedError)) throw error;
    process.stderr.write(`twohop: ${error.message}\n`);
    process.exitCode = 1;
  }
}
