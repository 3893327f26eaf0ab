import type { Daemon } from '../daemon.js';
import { readJsonLines } from '../json-lines.js';
import type { Site } from '../site.js';
import { waitUntil } from '../wait.js';
import { type ControlView, EMPTY_VIEW, inShort } from './view.js';

/** The store's view of the data center, always the newest. */
export class Watch {
  private current: ControlView = EMPTY_VIEW;
  private readonly listeners = new Set<(view: ControlView) => void>();

  private constructor(private readonly daemon: Daemon) {}

  /** @param store its address */
  static start(site: Site, store: string): Watch {
    const watch = new Watch(site.startRole('watch', 'control-watch', store));
    const { stdout } = watch.daemon.child;
    if (stdout === null) throw new Error('the watch needs a pipe');
    readJsonLines(stdout, (view) => {
      watch.current = view as ControlView;
      for (const listener of watch.listeners) listener(watch.current);
    });
    return watch;
  }

  get view(): ControlView {
    return this.current;
  }

  /** Calls `listener` with every view from now on. @returns what ends it */
  follow(listener: (view: ControlView) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Waits for a view of which `holds` is true.
   * @throws {TestbedError} naming `what` after so long, and the view that there was
   */
  async until(what: string, holds: (view: ControlView) => boolean, timeoutMs?: number): Promise<ControlView> {
    await waitUntil(
      what,
      () => holds(this.current),
      timeoutMs,
      () => inShort(this.current),
    );
    return this.current;
  }
}
