#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { ExitCode, fail } from './exit.js';

const manifest: { version: string; description: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

/** Each loaded only when it is asked for: a node needs nothing of the demonstration, and starts the sooner for it. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  capture: async () => (await import('./capture.js')).captureCommand(),
  conductor: async () => (await import('./conductor.js')).conductorCommand(),
  conformance: async () => (await import('./conformance.js')).conformanceCommand(),
  demo: async () => (await import('./demo.js')).demoCommand(),
  dissect: async () => (await import('./dissect.js')).dissectCommand(),
  explain: async () => (await import('./explain.js')).explainCommand(),
  node: async () => (await import('./node.js')).nodeCommand(),
  plan: async () => (await import('./plan.js')).planCommand(),
  replay: async () => (await import('./replay.js')).replayCommand(),
  server: async () => (await import('./server.js')).serverCommand(),
  simulate: async () => (await import('./simulate.js')).simulateCommand(),
  status: async () => (await import('./status.js')).statusCommand(),
  table: async () => (await import('./table.js')).tableCommand(),
  testbed: async () => (await import('./testbed.js')).testbedCommand(),
  top: async () => (await import('./top.js')).topCommand(),
  vip: async () => (await import('./vip.js')).vipCommand(),
};

const program = new Command('twohop')
  .description(manifest.description)
  .version(manifest.version)
  .showSuggestionAfterError()
  .configureHelp({ showGlobalOptions: false })
  .addHelpText(
    'after',
    '\nEvery command has --help with an example. Documentation: README.md and native-notes/.',
  );

const asked = process.argv[2] ?? '';
for (const [name, load] of Object.entries(COMMANDS)) {
  if (asked === name || !Object.hasOwn(COMMANDS, asked)) program.addCommand(await load());
}

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
