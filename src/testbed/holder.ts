import { DataCenter, type DataCenterSpec } from './data-center.js';
import { attachLifeline } from './enclosure.js';
import { messageOf } from './errors.js';
import { writeJsonLine } from './json-lines.js';
import { DEFAULT_SUITE, suiteNamed } from './suites/index.js';

/** What the holder tells the outside. */
export type HolderMessage = { readonly ready: true } | { readonly failed: string };

/** The process inside the enclosure of `testbed up`: builds the data center and stays for as long as it is wanted. */
export async function hold(spec: DataCenterSpec): Promise<void> {
  attachLifeline();
  try {
    await DataCenter.up(spec, suiteNamed(spec.suite ?? DEFAULT_SUITE.name));
  } catch (error) {
    tell({ failed: messageOf(error) });
    process.exit(1);
  }
  // From here on the processes of the data center keep this one alive.
  tell({ ready: true });
}

function tell(message: HolderMessage): void {
  writeJsonLine(process.stdout, message);
}
