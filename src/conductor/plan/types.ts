/**
 * What the planner reads and writes. It is a pure function of these: the same state, settings and step give the same
 * plan, on whatever machine.
 *
 * The planner thinks of a bucket as a **newcomer** (who gets new flows) and a **holder** (who only keeps old ones, or
 * nobody). Which of them is the first hop depends on the scheme.
 */

/**
 * - `tcp`: the newcomer is the first hop, the holder the second.
 * - `switched`: UDP flows and sessions: the newcomer is the second hop where there is a holder, which is the first then.
 * - `single`: request-response: one slot, the newcomer; there are no holders.
 */
export type HopScheme = 'tcp' | 'switched' | 'single';

/**
 * - `in`: gets new flows, by its weight.
 * - `drained`: the operator wants no new flows on it; those it has stay.
 * - `down`: its health forbids new flows; those it has may still live.
 * - `gone`: nothing lives on it any more; it leaves both slots.
 */
export type Standing = 'in' | 'drained' | 'down' | 'gone';

export interface PlannedServer {
  readonly name: string;
  /** Host-order IPv4 address. */
  readonly dip: number;
  /** Not negative; 0: gets no new flows, keeps those it has. */
  readonly weight: number;
  readonly pool: string;
  readonly standing: Standing;
}

export interface BalanceSettings {
  readonly scheme: HopScheme;
  /** Weights of the pools, by name; need not add up to 1. Servers of other pools do not serve the trafficset. */
  readonly pools: Readonly<Record<string, number>>;
  /**
   * Most buckets, as a share of the table, that planned changes (join, drain, weight, balance) may touch in 60 s. What
   * health and removals demand is never held back, but counts.
   */
  readonly maxChangePerMinute: number;
  /** A holder younger than this many seconds is not pushed out by a planned change. */
  readonly minHolderAge: number;
  /** Share of the deviation from the mean load that one balance step corrects, above 0, to 1. */
  readonly gain: number;
  /** Deviations of load below this share of the mean are left alone. */
  readonly deadBand: number;
  /** Most that one balance step may change a server's correction, as a factor above 1. */
  readonly maxCorrectionStep: number;
  /** Corrections stay within 1/this and this. */
  readonly maxCorrection: number;
}

/** A trafficset as the planner left it. */
export interface PlannerState {
  readonly version: number;
  /** Rows as in `ForwardingTable.slots`: first hop, second hop (0 = none) of each bucket. */
  readonly slots: Uint32Array;
  /** Unix time in seconds at which each bucket was changed last. */
  readonly changedAt: Uint32Array;
  /** What the control loop made of the weights, by server name; absent means 1. */
  readonly corrections: ReadonlyMap<string, number>;
}

export interface PlanStep {
  /** Unix time in seconds. */
  readonly now: number;
  /** All servers that exist; one that stands in the table and not here is gone. */
  readonly servers: readonly PlannedServer[];
  /**
   * Fresh load samples by server name, in any unit that grows with load; null when this is no balance step. A server
   * without a sample is left as it is.
   */
  readonly loads: ReadonlyMap<string, number> | null;
}

/** Why a bucket changed. */
export type Rule =
  /** A server gets new flows that had none, or less than its weight says. */
  | 'join'
  /** The operator drained it, or set its weight to 0. */
  | 'drain'
  /** Its health forbids new flows. */
  | 'health'
  /** It is gone from the data center. */
  | 'gone'
  /** Shares follow the weights of servers and pools: one changed, or what another rule began is being finished. */
  | 'weight'
  /** The control loop moves load. */
  | 'balance';

/** What happened to the buckets of a move. */
export type MoveKind =
  /** Newcomer and holder changed places: breaks nothing. */
  | 'swap'
  /** The newcomer became holder, in an empty slot or in place of a holder that is gone: breaks nothing. */
  | 'handover'
  /** The newcomer became holder in place of an older one, whose flows there break. */
  | 'replace'
  /** The newcomer changed and the old one is not kept: it is gone, or there is one slot only. */
  | 'move'
  /** A holder that is gone left its slot. */
  | 'clear';

export interface Move {
  readonly rule: Rule;
  readonly kind: MoveKind;
  /** DIPs: who got new flows before and after (for `clear`: the holder that left, and 0). */
  readonly from: number;
  readonly to: number;
  readonly buckets: number;
}

export interface Plan {
  /** With a version one higher when any bucket changed; the same rows and version otherwise. */
  readonly state: PlannerState;
  /** Numbers of the changed buckets, ascending. */
  readonly changed: Uint32Array;
  /** By rule, kind, from and to; in a fixed order. */
  readonly moves: readonly Move[];
  /** What was wanted and could not be done yet, and why; for people. */
  readonly waiting: readonly string[];
  /** Unix time in seconds at which something that waits may be possible; null when nothing waits. */
  readonly nextAt: number | null;
}
