import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_NODE_SETTINGS, type NodeSettings } from '../testbed/cluster-file.js';

/** What several commands share. */

/** A whole number from `least` to `most`. */
export function count(most: number, least = 1): (text: string) => number {
  return (text) => {
    const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It has to be a whole number from ${least} to ${most}.`);
  };
}

/** More would only share the few processors of one machine. */
const MOST_WORKERS = 8;

/**
 * Adds the options that say how the nodes of a data center run.
 * @param note to what the description of the failure mode says
 */
export function addNodeOptions(command: Command, note = ''): Command {
  const { failureMode, workers, offload } = DEFAULT_NODE_SETTINGS;
  const choices = (flags: string, description: string, values: readonly string[], usual: string) =>
    new Option(flags, description).choices(values).default(usual);
  return command
    .addOption(
      choices(
        '--failure-mode <mode>',
        `what a server does while its node is down: take nothing (closed), or everything itself (open)${note}`,
        ['closed', 'open'],
        failureMode,
      ),
    )
    .option('--workers <n>', 'data-plane threads of each node', count(MOST_WORKERS), workers)
    .addOption(
      choices(
        '--offload <mode>',
        'segmentation and checksum offload of the nodes, where the kernel can (auto), or none',
        ['auto', 'off'],
        offload,
      ),
    );
}

/** The node settings among a command's options. */
export function nodeSettingsOf({ failureMode, workers, offload }: NodeSettings): NodeSettings {
  return { failureMode, workers, offload };
}
