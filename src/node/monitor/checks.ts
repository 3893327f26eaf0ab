import type { MonitorConfig } from '../../table/control.js';
import type { Check } from './check.js';
import { TunnelEcho, type TunnelOptions } from './gue.js';
import { httpCheck } from './http.js';
import { scriptCheck } from './script.js';
import { tcpCheck } from './tcp.js';

/** Makes checks of monitors. What the checks through the tunnel share is opened when the first of them is made. */
export class Checks {
  private tunnel: Promise<TunnelEcho> | null = null;

  constructor(private readonly options: TunnelOptions) {}

  /** Bound, to be handed over as it is. */
  readonly of = (monitor: MonitorConfig): Check => {
    switch (monitor.type) {
      case 'http':
        return httpCheck(monitor);
      case 'tcp':
        return tcpCheck(monitor);
      case 'script':
        return scriptCheck(monitor);
      case 'gue':
        return async (target, stop) => (await this.open()).check(monitor)(target, stop);
    }
  };

  /** After all checks have ended. */
  async close(): Promise<void> {
    const tunnel = await this.tunnel?.catch(() => null);
    this.tunnel = null;
    await tunnel?.close();
  }

  /** What could not be opened is tried again at the next check. */
  private open(): Promise<TunnelEcho> {
    this.tunnel ??= TunnelEcho.open(this.options).catch((error: unknown) => {
      this.tunnel = null;
      throw error;
    });
    return this.tunnel;
  }
}
