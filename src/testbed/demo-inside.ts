import { DataCenter, type DataCenterSpec } from './data-center.js';
import type { DemoEvent } from './demo.js';
import { attachLifeline } from './enclosure.js';
import { messageOf } from './errors.js';
import { writeJsonLine } from './json-lines.js';
import { SCENARIOS } from './scenarios/index.js';

/** The process inside the enclosure of `twohop demo`: a data center, and one scenario after another. */
export async function demonstrate(spec: DataCenterSpec): Promise<void> {
  attachLifeline();
  try {
    const begin = performance.now();
    const dataCenter = await DataCenter.up(spec);
    tell({ event: 'up', seconds: secondsSince(begin) });
    for (const scenario of SCENARIOS) {
      const { name, title } = scenario;
      tell({ event: 'begin', name, title });
      const start = performance.now();
      const finding = await scenario.run(dataCenter);
      tell({ event: 'end', result: { name, title, seconds: secondsSince(start), ...finding } });
    }
    tell({ event: 'done' });
  } catch (error) {
    tell({ event: 'failed', message: messageOf(error) });
  }
}

/** To a tenth: more would be noise. */
function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 100) / 10;
}

function tell(event: DemoEvent): void {
  writeJsonLine(process.stdout, event);
}
