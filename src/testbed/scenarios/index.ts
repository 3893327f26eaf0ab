import { comparison } from './comparison.js';
import { crash } from './crash.js';
import { drain } from './drain.js';
import { pmtud } from './pmtud.js';
import { rehash } from './rehash.js';
import type { Scenario } from './scenario.js';
import { spread } from './spread.js';
import { swap } from './swap.js';

/** The steps of the demonstration, in order. */
export const SCENARIOS: readonly Scenario[] = [spread, drain, rehash, swap, crash, pmtud, comparison];
