#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { demoCommand } from './demo.js';
import { ExitCode, fail } from './exit.js';
import { nodeCommand } from './node.js';
import { tableCommand } from './table.js';
import { testbedCommand } from './testbed.js';

const manifest: { version: string; description: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

const program = new Command('twohop')
  .description(manifest.description)
  .version(manifest.version)
  .showSuggestionAfterError()
  .configureHelp({ showGlobalOptions: false })
  .addCommand(demoCommand())
  .addCommand(nodeCommand())
  .addCommand(tableCommand())
  .addCommand(testbedCommand())
  .addHelpText(
    'after',
    '\nEvery command has --help with an example. Documentation: README.md and native-notes/.',
  );

// Commander ends with 1 for a wrong command line; here 1 means that something did not hold.
exitWithUsage(program);

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}

function exitWithUsage(command: Command): void {
  command.exitOverride((end) => {
    process.exit(end.exitCode === 0 ? ExitCode.Ok : ExitCode.Usage);
  });
  for (const child of command.commands) exitWithUsage(child);
}
