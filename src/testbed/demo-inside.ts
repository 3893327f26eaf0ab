import { pictureOf } from './control/picture.js';
import { DataCenter, type DataCenterSpec } from './data-center.js';
import type { DemoEvent } from './demo.js';
import { attachLifeline } from './enclosure.js';
import { messageOf } from './errors.js';
import { writeJsonLine } from './json-lines.js';
import type { Finding, Scenario, ScenarioResult } from './scenarios/scenario.js';
import { DEFAULT_SUITE, suiteNamed } from './suites/index.js';

/** The process inside the enclosure of `twohop demo`: a data center, and one scenario after another. */
export async function demonstrate(spec: DataCenterSpec): Promise<void> {
  attachLifeline();
  const suite = suiteNamed(spec.suite ?? DEFAULT_SUITE.name);
  const begin = performance.now();
  let dataCenter: DataCenter;
  try {
    dataCenter = await DataCenter.up(spec, suite);
  } catch (error) {
    tell({ event: 'failed', message: messageOf(error) });
    return;
  }
  tell({ event: 'up', seconds: secondsSince(begin) });
  if (suite.conducted !== undefined) setInterval(() => showPicture(dataCenter), PICTURE_MS).unref();

  const results: ScenarioResult[] = [];
  for (const scenario of suite.scenarios) {
    const { name, title } = scenario;
    tell({ event: 'begin', name, title });
    const start = performance.now();
    const { finding, carriedOut } = await tryToRun(scenario, dataCenter, results);
    const result = { name, title, seconds: secondsSince(start), ...finding };
    results.push(result);
    tell({ event: 'end', result });
    // Nobody knows how it left the data center; what followed would prove nothing.
    if (!carriedOut) break;
  }
  tell({ event: 'done', notRun: suite.scenarios.slice(results.length).map(({ title }) => title) });
}

/** As often as a person can follow. */
const PICTURE_MS = 500;

function showPicture(dataCenter: DataCenter): void {
  tell({ event: 'picture', picture: pictureOf(dataCenter.requireControl().watch.view) });
}

async function tryToRun(
  scenario: Scenario,
  dataCenter: DataCenter,
  earlier: readonly ScenarioResult[],
): Promise<{ readonly finding: Finding; readonly carriedOut: boolean }> {
  try {
    return { finding: await scenario.run(dataCenter, earlier), carriedOut: true };
  } catch (error) {
    return {
      finding: { held: false, lines: [], reasons: [messageOf(error)], figures: {} },
      carriedOut: false,
    };
  }
}

/** To a tenth: more would be noise. */
function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 100) / 10;
}

function tell(event: DemoEvent): void {
  writeJsonLine(process.stdout, event);
}
