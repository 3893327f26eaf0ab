import { InvalidArgumentError, Option } from 'commander';

/** What several commands share. */

/** A whole number from `least` to `most`. */
export function count(most: number, least = 1): (text: string) => number {
  return (text) => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It has to be a whole number from ${least} to ${most}.`);
  };
}

/** @param note to what its description says */
export function failureModeOption(note = ''): Option {
  return new Option(
    '--failure-mode <mode>',
    `what a server does while its node is down: take nothing (closed), or everything itself (open)${note}`,
  )
    .choices(['closed', 'open'])
    .default('closed');
}
