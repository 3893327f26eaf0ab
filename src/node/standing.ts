import type { Health } from '../admin/server.js';
import type { Prefix } from '../table/address.js';
import type { PathFeed } from './path-feed.js';
import type { NodeState } from './presence.js';
import type { RouteState } from './routes/announcer.js';
import { SelfCheck } from './self-check.js';
import type { Wanted } from './server-list.js';

export interface StandingSource {
  readonly feed: PathFeed;
  /** Its server is named in cluster.yaml. */
  isConfigured(): boolean;
  /** What the operator wants of this server; null without a store. */
  wanted(): Wanted | null;
  storeAvailable(): boolean | null;
  cpu(): number | null;
  routes(): RouteState;
}

/** How a node stands: for /healthz, for the store, for the router. */
export class Standing {
  /** Steering stands: from here on the server does what its health says. */
  isUp = false;
  private readonly selfCheck = new SelfCheck();

  constructor(private readonly source: StandingSource) {}

  /** Looks at the device and the workers. */
  look(): void {
    const { config, plane } = this.source.feed;
    this.selfCheck.look(config.tun.name, plane?.status ?? []);
  }

  /** For /healthz. */
  health(): Health {
    const { feed } = this.source;
    const missing = feed.tables.missing();
    const { problems } = this.selfCheck;
    const store = this.source.storeAvailable();
    const routes = this.source.routes();
    return {
      ok: this.isUp && missing.length === 0 && problems.length === 0,
      detail: {
        server: feed.config.name,
        up: this.isUp,
        workers: feed.config.workers,
        tables: this.tables(),
        ...(missing.length > 0 ? { withoutTable: missing } : {}),
        ...(problems.length > 0 ? { problems } : {}),
        ...(store === null ? {} : { store: store ? 'available' : 'away' }),
        ...(routes === 'none' ? {} : { routes }),
      },
    };
  }

  /** For the store. */
  state(): NodeState {
    const { feed, cpu, routes } = this.source;
    const vips = feed.vips.gauges(feed.taken).map(({ trafficset, version }) => [trafficset, version]);
    return {
      dip: feed.config.dip,
      healthy: this.health().ok,
      tables: this.tables(),
      vips: Object.fromEntries(vips),
      cpu: cpu(),
      routes: routes(),
    };
  }

  /** What the router should know, or why nothing. */
  routes(): readonly Prefix[] | string {
    const { feed, wanted, isConfigured } = this.source;
    if (!this.isUp) return 'the node is not up';
    const missing = feed.tables.missing();
    if (missing.length > 0) return `there is no table of ${missing.join(', ')}`;
    const { problems } = this.selfCheck;
    if (problems.length > 0) return problems.join('; ');
    switch (wanted()) {
      case 'drained':
        return 'the server is drained';
      case 'removed':
        return 'the server was removed';
      case 'unknown':
        return isConfigured()
          ? feed.vips.state.announced
          : 'the store has not said that there is this server';
      default:
        return feed.vips.state.announced;
    }
  }

  private tables(): Record<string, number> {
    const { feed } = this.source;
    const gauges = feed.tables.gauges(feed.taken);
    return Object.fromEntries(gauges.map(({ trafficset, version }) => [trafficset, version]));
  }
}
