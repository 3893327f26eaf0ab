import { Stage } from '../../path/counters.js';
import { twohop as forwarderProfile } from '../../path/profile/forwarder-profile.js';
import { forwarderSiteOf } from '../../path/profile/forwarder-site.js';
import { ProfiledForwarder } from '../../path/profile/profiled-forwarder.js';
import { ProfiledRedirector } from '../../path/profile/profiled-redirector.js';
import { REDIRECT_REASONS } from '../../path/profile/redirect-reason.js';
import { REDIRECTOR_PROFILES, twohop } from '../../path/profile/redirector-profile.js';
import { siteOf } from '../../path/profile/redirector-site.js';
import type { ReplayServer } from '../fleet.js';

/** How a stage came to its verdict, sentence by sentence: told by the slow model, which the path is held equal to. */
export interface Account {
  /** `The packet stays here: it is a SYN ...` */
  readonly sentences: readonly string[];
  /** What the redirectors of other systems would do with the same packet and sockets; empty for the forwarder. */
  readonly elsewhere: readonly Elsewhere[];
}

export interface Elsewhere {
  readonly system: string;
  readonly reason: string;
  readonly meaning: string;
}

/** @param packet as the stage gets it, from the IP header on */
export function accountOf(server: ReplayServer, stage: Stage, packet: Uint8Array): Account {
  const sockets = server.sockets.observer();
  if (stage === Stage.Forward) {
    const model = new ProfiledForwarder(forwarderProfile, forwarderSiteOf(server.state), sockets);
    return { sentences: sentences(model.process(packet).steps), elsewhere: [] };
  }
  const site = siteOf(server.state);
  const { steps } = new ProfiledRedirector(twohop, site, sockets).process(packet);
  const others = Object.entries(REDIRECTOR_PROFILES).filter(([, profile]) => profile !== twohop);
  return {
    sentences: sentences(steps),
    elsewhere: others.map(([system, profile]) => {
      const { reason } = new ProfiledRedirector(profile, site, sockets).process(packet);
      return { system, reason, meaning: REDIRECT_REASONS[reason].meaning };
    }),
  };
}

function sentences(steps: ReadonlyArray<{ readonly what: string; readonly because: string }>): string[] {
  return steps.map(({ what, because }) => `${what}: ${because}`);
}
