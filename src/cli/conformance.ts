import Table from 'cli-table3';
import { Command } from 'commander';
import { caseFolders, regenerateCase } from '../replay/cases/case-folder.js';
import { CASES_FORMAT, runCases } from '../replay/conformance/cases.js';
import type { VectorResult } from '../replay/conformance/format.js';
import { formatNames } from '../replay/conformance/registry.js';
import {
  type FileReport,
  readVectorFile,
  runVectorFile,
  Tally,
  type VectorFile,
  vectorPaths,
} from '../replay/conformance/run.js';
import { colors } from './colors.js';
import { ExitCode } from './exit.js';
import { count } from './testbed-common.js';

interface ConformanceOptions {
  readonly failures: number;
  readonly regenerate?: true;
  readonly json?: true;
}

/** `twohop conformance`: what published systems did with packets, asked of the profiles here. */
export function conformanceCommand(): Command {
  return new Command('conformance')
    .description(
      'run vector files: what published systems did with packets, and whether the profiles here agree',
    )
    .argument(
      '<file...>',
      'vector files (gzip or not), directories with *.json and *.json.gz, or case folders (case.yaml)',
    )
    .option('--failures <n>', 'show this many failures of each file in full', count(999_999, 0), 3)
    .option('--regenerate', 'write what the cases come to as what they expect, then review the difference')
    .option('--json', 'one line of JSON per vector, and one with the sums')
    .addHelpText(
      'after',
      [
        '',
        `The format of a file is told by its content. Formats: ${formatNames()}`,
        'Exit code: 0 all passed, 1 something failed, 2 a file is no vector file.',
        'Example:',
        '  twohop conformance cls-redirect.json.gz',
        '  twohop conformance test/cases',
      ].join('\n'),
    )
    .action(async (paths: string[], options: ConformanceOptions, command: Command) => {
      if (options.regenerate === true) return regenerate(paths, command);
      // All files are read before the first runs: a wrong name is told at once, not after a minute of results.
      const inputs = paths.flatMap(inputsOf);
      const reports: FileReport[] = [];
      for (const input of inputs) {
        const report = 'folders' in input ? await runFolders(input, options) : run(input, options);
        if (options.json !== true) print(describeReport(report));
        reports.push(report);
      }
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

interface CaseInput {
  readonly path: string;
  readonly folders: readonly string[];
}

/** What a path on the command line stands for. */
function inputsOf(path: string): Array<VectorFile | CaseInput> {
  const folders = caseFolders(path);
  return folders.length > 0 ? [{ path, folders }] : vectorPaths(path).map(readVectorFile);
}

function run(file: VectorFile, options: ConformanceOptions): FileReport {
  return runVectorFile(file, options.failures, tellerOf(file.path, file.format.name, options));
}

async function runFolders({ path, folders }: CaseInput, options: ConformanceOptions): Promise<FileReport> {
  const tally = new Tally(options.failures);
  const tell = tellerOf(path, CASES_FORMAT, options);
  for await (const result of runCases(folders)) {
    tell(result);
    tally.add(result);
  }
  return tally.report(path, CASES_FORMAT);
}

/** With --json every result is told as it comes. */
function tellerOf(
  file: string,
  format: string,
  { json }: ConformanceOptions,
): (result: VectorResult) => void {
  return json === true ? (result) => print(JSON.stringify({ file, format, ...result })) : () => {};
}

async function regenerate(paths: readonly string[], command: Command): Promise<void> {
  for (const path of paths) {
    const folders = caseFolders(path);
    if (folders.length === 0) {
      command.error(`error: ${path} holds no cases: --regenerate is for folders with case.yaml`, {
        exitCode: ExitCode.Usage,
      });
    }
    for (const folder of folders) await regenerateCase(folder);
    print(`${path}: ${folders.length} ${folders.length === 1 ? 'case' : 'cases'} written: see git diff`);
  }
}

function describeReport(report: FileReport): string {
  const table = new Table({
    head: ['group', 'passed', 'failed', 'not asked'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { group, passed, failed, notAsked } of report.groups) {
    table.push([printable(group), passed, failed === 0 ? failed : colors.red(failed), notAsked]);
  }
  if (report.groups.length > 1) table.push(['all', report.passed, report.failed, report.notAsked]);
  const parts = [`${colors.bold(report.path)}: ${report.format}`, table.toString()];
  for (const failure of report.failures) parts.push(describeFailure(failure));
  const more = report.failed - report.failures.length;
  if (more > 0) parts.push(`and ${more} more failed: see them with --failures ${report.failed}`);
  if (report.left.length > 0) {
    const lines = report.left.map(({ name, detail }) => printable(`  ${name}: ${detail.join(' ')}`));
    parts.push('not asked:', ...lines);
  }
  return `${parts.join('\n')}\n`;
}

function describeFailure({ name, detail }: VectorResult): string {
  const lines = detail.map((line) => printable(`  ${line}`));
  return [`${colors.red('failed')} ${printable(name)}`, ...lines].join('\n');
}

const LONGEST_LINE = 400;

/** What stands in a file must not steer the terminal, nor fill it. */
function printable(line: string): string {
  const text = line.replace(/\p{Cc}/gu, '?');
  return text.length <= LONGEST_LINE ? text : `${text.slice(0, LONGEST_LINE)}... (${text.length} characters)`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
