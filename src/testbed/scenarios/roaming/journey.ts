import { since } from '../../counters.js';
import type { DataCenter } from '../../data-center.js';
import { downloadThroughTunnels } from '../../wireguard/downloads.js';
import { giveBackIpv6, ROAMING_STEPS } from '../../wireguard/roaming.js';
import type { Tunnels } from '../../wireguard/tunnels.js';
import {
  baselinesOf,
  brokenSessions,
  countSessionPackets,
  ROAMERS,
  type SessionPackets,
} from './sessions.js';

/** All steps of roaming by all clients at once, with a download in every tunnel. */
export interface Journey {
  readonly steps: readonly JourneyStep[];
  /** Downloads that were in progress before the last step. */
  readonly inProgress: number;
  /** What went wrong with downloads, one entry for each that did not complete. */
  readonly downloadFailures: readonly string[];
  /** From the first step to the end of the last download. */
  readonly packets: SessionPackets;
}

export interface JourneyStep {
  readonly title: string;
  /** Why a session did not survive until here, by client. */
  readonly broken: ReadonlyMap<number, string>;
  /** Clients that their server has seen elsewhere since. */
  readonly moved: number;
}

/** At the pace of {@link downloadThroughTunnels} this takes a minute. */
const BYTES = 1_000_000;

/**
 * @param patience.probeS seconds until a silent tunnel counts as broken
 * @param patience.stallMs milliseconds until a silent download does
 */
export async function journey(
  dataCenter: DataCenter,
  tunnels: Tunnels,
  patience: { readonly probeS: number; readonly stallMs: number },
): Promise<Journey> {
  const { network } = dataCenter;
  const fleet = dataCenter.requireFleet();
  const original = network.ecmp;
  const baselines = await baselinesOf(tunnels, ROAMERS);
  const downloads = await downloadThroughTunnels(ROAMERS, BYTES);
  const before = await countSessionPackets(fleet);

  const steps: JourneyStep[] = [];
  let inProgress = 0;
  for (const [index, { title, take }] of ROAMING_STEPS.entries()) {
    const old = await endpointsOf(tunnels);
    inProgress = downloads.filter((download) => download.inProgress).length;
    await take(ROAMERS, tunnels.serverPublicKey);
    // A client elsewhere comes in elsewhere; a NAT in the router itself would hide that from the router's choice.
    await network.rehash(original.seed + 1 + index);
    const broken = await brokenSessions(tunnels, baselines, patience.probeS);
    const now = await endpointsOf(tunnels);
    const moved = ROAMERS.filter((client) => now.get(client) !== old.get(client)).length;
    steps.push({ title, broken, moved });
  }
  await giveBackIpv6(ROAMERS);
  const outcomes = await Promise.all(downloads.map((download) => download.finish(patience.stallMs)));
  const packets = since(before, await countSessionPackets(fleet));
  await network.setEcmp(original);
  return { steps, inProgress, downloadFailures: outcomes.flatMap((outcome) => outcome ?? []), packets };
}

/** Where servers see each client. */
async function endpointsOf(tunnels: Tunnels): Promise<ReadonlyMap<number, string>> {
  const readings = await tunnels.read(ROAMERS);
  return new Map([...readings].map(([client, { endpoints }]) => [client, endpoints.join(' ')]));
}

/** Clients whose session was broken after at least one step. */
export function brokenEver({ steps }: Journey): number {
  return new Set(steps.flatMap(({ broken }) => [...broken.keys()])).size;
}
