import Table from 'cli-table3';
import { Command } from 'commander';
import pc from 'picocolors';
import type { VectorResult } from '../replay/conformance/format.js';
import { formatNames } from '../replay/conformance/registry.js';
import {
  type FileReport,
  readVectorFile,
  runVectorFile,
  type VectorFile,
  vectorPaths,
} from '../replay/conformance/run.js';
import { ExitCode } from './exit.js';
import { count } from './testbed-common.js';

interface ConformanceOptions {
  readonly failures: number;
  readonly json?: true;
}

/** `twohop conformance`: what published systems did with packets, asked of the profiles here. */
export function conformanceCommand(): Command {
  return new Command('conformance')
    .description(
      'run vector files: what published systems did with packets, and whether the profiles here agree',
    )
    .argument('<file...>', 'vector files (gzip or not), or directories with *.json and *.json.gz')
    .option('--failures <n>', 'show this many failures of each file in full', count(999_999, 0), 3)
    .option('--json', 'one line of JSON per vector, and one with the sums')
    .addHelpText(
      'after',
      [
        '',
        `The format of a file is told by its content. Formats: ${formatNames()}`,
        'Exit code: 0 all passed, 1 something failed, 2 a file is no vector file.',
        'Example:',
        '  twohop conformance cls-redirect.json.gz',
      ].join('\n'),
    )
    .action((paths: string[], options: ConformanceOptions) => {
      // All files are read before the first runs: a wrong name is told at once, not after a minute of results.
      const files = paths.flatMap(vectorPaths).map(readVectorFile);
      const reports = files.map((file) => run(file, options));
      const sum = (of: (report: FileReport) => number) =>
        reports.reduce((all, report) => all + of(report), 0);
      const passed = sum((report) => report.passed);
      const failed = sum((report) => report.failed);
      const notAsked = sum((report) => report.notAsked);
      if (options.json === true) print(JSON.stringify({ passed, failed, notAsked }));
      const last = `${passed} passed, ${failed} failed\n`;
      // With --json standard output is data only.
      (options.json === true ? process.stderr : process.stdout).write(last);
      if (failed > 0) process.exitCode = ExitCode.Failed;
    });
}

function run(file: VectorFile, options: ConformanceOptions): FileReport {
  if (options.json === true) {
    return runVectorFile(file, 0, (result) =>
      print(JSON.stringify({ file: file.path, format: file.format.name, ...result })),
    );
  }
  const report = runVectorFile(file, options.failures);
  print(describeReport(report));
  return report;
}

function describeReport(report: FileReport): string {
  const table = new Table({
    head: ['group', 'passed', 'failed', 'not asked'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { group, passed, failed, notAsked } of report.groups) {
    table.push([group, passed, failed === 0 ? failed : pc.red(failed), notAsked]);
  }
  if (report.groups.length > 1) table.push(['all', report.passed, report.failed, report.notAsked]);
  const parts = [`${pc.bold(report.path)}: ${report.format}`, table.toString()];
  for (const failure of report.failures) parts.push(describeFailure(failure));
  const more = report.failed - report.failures.length;
  if (more > 0) parts.push(`and ${more} more failed: see them with --failures ${report.failed}`);
  if (report.left.length > 0) {
    parts.push('not asked:', ...report.left.map(({ name, detail }) => `  ${name}: ${detail.join(' ')}`));
  }
  return `${parts.join('\n')}\n`;
}

function describeFailure({ name, detail }: VectorResult): string {
  return [`${pc.red('failed')} ${name}`, ...detail.map((line) => `  ${line}`)].join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
