import type { NodeSettings } from './cluster-file.js';
import { CpuGroupKeeper } from './control/cpu-group-keeper.js';
import type { Picture } from './control/picture.js';
import type { DataCenterSpec } from './data-center.js';
import { Enclosure, enclosureFailure } from './enclosure.js';
import { TestbedError } from './errors.js';
import { register } from './lifecycle.js';
import { requireMeans, TESTBED_TOOLS } from './requirements.js';
import type { ScenarioResult } from './scenarios/scenario.js';
import { alreadyUp, readState, type TestbedState } from './state.js';
import type { Suite } from './suites/suite.js';

/** The demonstration seen from outside: runs it in an enclosure and follows what it tells. */

/** What the demonstration tells while it runs, in this order; `failed` may come at any time and is the last. */
export type DemoEvent =
  | { readonly event: 'up'; readonly seconds: number }
  | { readonly event: 'begin'; readonly name: string; readonly title: string }
  /** How the data center stands, now and then during a step; only where a conductor runs it. */
  | { readonly event: 'picture'; readonly picture: Picture }
  | { readonly event: 'end'; readonly result: ScenarioResult }
  /** After a step that could not be carried out, the others are not tried. */
  | { readonly event: 'done'; readonly notRun: readonly string[] }
  | { readonly event: 'failed'; readonly message: string };

export interface DemoOptions {
  readonly suite: Suite;
  readonly servers: number;
  readonly nodes: NodeSettings;
  /** Leave the data center up under this name; null takes it down. */
  readonly keepAs: string | null;
  /** Ends everything at once. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: DemoEvent) => void;
}

export interface DemoOutcome {
  readonly results: readonly ScenarioResult[];
  /** Titles of the steps that were not tried. */
  readonly notRun: readonly string[];
  /** The data center, when it was kept. */
  readonly kept: TestbedState | null;
}

/**
 * Resolves at the end of the last step; by then everything is gone, or registered under its name.
 * @throws {TestbedError} when it cannot run here, or was ended
 */
export async function runDemo(options: DemoOptions): Promise<DemoOutcome> {
  const { suite, keepAs, signal } = options;
  const least = suite.conducted?.leastServers ?? 0;
  if (options.servers < least) throw new TestbedError(`${suite.name} needs ${least} servers at least`);
  requireMeans({ tools: [...TESTBED_TOOLS, ...suite.tools], tun: true });
  if (keepAs !== null && readState(keepAs) !== undefined) throw alreadyUp(keepAs);

  const keeper = suite.conducted === undefined ? null : CpuGroupKeeper.make();
  const spec: DataCenterSpec = {
    ...(keeper === null ? {} : { cpuGroup: keeper.path }),
    servers: options.servers + (suite.conducted === undefined ? 0 : 1),
    clients: suite.clients,
    access: suite.access,
    loadBalancer: options.nodes,
    suite: suite.name,
  };
  const results: ScenarioResult[] = [];
  const { enclosure, told } = follow(spec, keepAs !== null, (event) => {
    if (event.event === 'end') results.push(event.result);
    options.onEvent(event);
  });
  keeper?.guard(enclosure.pid);
  signal.addEventListener('abort', () => void enclosure.stop());
  let kept: TestbedState | null = null;
  try {
    const last = await Promise.race([told, enclosure.ended]);
    if (signal.aborted) throw new TestbedError('interrupted: everything is taken down');
    if (last === undefined) throw enclosureFailure(enclosure);
    if (last.event === 'failed') throw new TestbedError(last.message);
    if (keepAs !== null) {
      kept = register(keepAs, spec, enclosure);
      enclosure.release();
    }
    return { results, notRun: last.notRun, kept };
  } finally {
    if (kept === null) {
      await enclosure.stop();
      await keeper?.gone();
    }
  }
}

type LastEvent = Extract<DemoEvent, { readonly event: 'done' | 'failed' }>;

/** Starts it; `told` resolves with its last event. */
function follow(
  spec: DataCenterSpec,
  mayOutliveUs: boolean,
  onEvent: (event: DemoEvent) => void,
): { readonly enclosure: Enclosure; readonly told: Promise<LastEvent> } {
  let toldAll: (event: LastEvent) => void = () => {};
  const told = new Promise<LastEvent>((resolve) => {
    toldAll = resolve;
  });
  const enclosure = Enclosure.start({
    role: 'demo',
    spec,
    mayOutliveUs,
    onMessage: (message) => {
      const event = message as DemoEvent;
      onEvent(event);
      if (event.event === 'done' || event.event === 'failed') toldAll(event);
    },
  });
  return { enclosure, told };
}
