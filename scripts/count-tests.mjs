// Prints `N passed, N failed` from vitest's JSON report, and names the tests that were skipped.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const tests = report.testResults.flatMap((file) => file.assertionResults);
const skipped = tests.filter((test) => test.status === 'skipped' || test.status === 'pending');
for (const test of skipped) console.log(`skipped: ${test.fullName}`);
// A file that fails to load has no tests, but it is a failure.
const broken = report.testResults.filter(
  (file) => file.status === 'failed' && file.assertionResults.length === 0,
);
const failed = report.numFailedTests + broken.length;
console.log(
  `${report.numPassedTests} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`,
);
process.exitCode = failed > 0 || report.numPassedTests === 0 ? 1 : 0;
