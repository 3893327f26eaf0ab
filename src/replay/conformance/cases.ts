import { basename } from 'node:path';
import { CaptureError } from '../../io/capture/errors.js';
import { ConfigError } from '../../table/yaml.js';
import { checkCase } from '../cases/case-folder.js';
import { ConformanceError, type VectorResult } from './format.js';

/** Case folders, held against what they expect; see `../cases/case-folder.ts`. */
export const CASES_FORMAT = 'cases';

/**
 * One result per case, grouped by the first word of the folder's name (`drain-ipv6` is of `drain`).
 * @param folders from `caseFolders`
 */
export async function* runCases(folders: readonly string[]): AsyncIterable<VectorResult> {
  for (const folder of folders) {
    const name = basename(folder);
    const detail = await differences(folder);
    yield { group: name.split('-')[0], name, outcome: detail.length === 0 ? 'passed' : 'failed', detail };
  }
}

/** A case that cannot be run has failed; the others go on. */
async function differences(folder: string): Promise<readonly string[]> {
  try {
    return await checkCase(folder);
  } catch (error) {
    const isCaseWrong =
      error instanceof ConfigError || error instanceof ConformanceError || error instanceof CaptureError;
    if (isCaseWrong) return error.message.split('\n');
    throw error;
  }
}
