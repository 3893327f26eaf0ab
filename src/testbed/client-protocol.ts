/**
 * What a scenario can ask a client to do, and what it gets back. One JSON line per request and per answer; see
 * client.ts for the process that answers and client-handle.ts for the side that asks.
 */

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A connection by its 4-tuple, so that the answer can be held against the forwarding table. */
export interface Tuple {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** One new connection that was tried: exactly one of `server` and `error` is set. */
export interface Attempt {
  readonly remote: Endpoint;
  /** Null when the connection was never made: the kernel does not tell the port it tried. */
  readonly local: Endpoint | null;
  /** Who answered. */
  readonly server: string | null;
  readonly error: string | null;
}

export const HELD_KINDS = ['download', 'upload', 'idle'] as const;
/** A download in progress, an upload in progress, or a keep-alive connection between two requests. */
export type HeldKind = (typeof HELD_KINDS)[number];

/** A long-lived connection that is up. */
export interface Held extends Tuple {
  readonly id: number;
  readonly kind: HeldKind;
  readonly server: string;
}

/** How far a held connection is. */
export interface HeldProgress {
  readonly id: number;
  readonly bytes: number;
  /** 0 for an idle connection. */
  readonly total: number;
  /** Why it is broken, or null. */
  readonly broken: string | null;
}

/** The end of a held connection. */
export interface Outcome extends Held {
  /** Null: it completed, and its checksum was right. Otherwise what went wrong. */
  readonly broken: string | null;
}

export interface LoadReport {
  readonly attempts: number;
  /** Answers per server. */
  readonly servers: Readonly<Record<string, number>>;
  readonly failures: readonly Attempt[];
}

/** A steady load of new connections, one request each, that goes round in a fixed set of 4-tuples. */
export interface WorkLoadSpec {
  readonly perSecond: number;
  readonly targets: readonly Endpoint[];
  /** Local ports: each is used with every target. */
  readonly ports: { readonly first: number; readonly count: number };
  /** What each request asks the service to do (control/work-service.ts). */
  readonly iterations: number;
  readonly timeoutMs: number;
}

/** What came of one request of a {@link WorkLoadSpec}. */
export interface WorkDone {
  /** When it began, and when it ended: milliseconds of the machine's monotonic clock. */
  readonly begun: number;
  readonly ended: number;
  /** Who answered; null when nobody did. */
  readonly server: string | null;
  /** Null: it was answered with 200. */
  readonly error: string | null;
}

/** What came of one datagram in a UDP flow. */
export interface FlowAnswer extends Tuple {
  /** Of the flow, unique per client. */
  readonly id: number;
  /** Who answered; null when nobody did, however often it was sent. */
  readonly server: string | null;
  /** How many datagrams of this flow have come to the socket that answered, by its own account. */
  readonly count: number;
  /** How often it was sent. */
  readonly tries: number;
  /** The server got the bytes that were sent; also true when it gives no account of them. */
  readonly intact: boolean;
}

/** Operation -> what it takes and what it gives. */
export interface ClientOperations {
  /** Opens `count` new connections, in turn to each of `targets`, one request each. */
  burst: {
    request: {
      readonly count: number;
      readonly targets: readonly Endpoint[];
      readonly concurrency: number;
      readonly timeoutMs: number;
    };
    response: Attempt[];
  };
  /** Opens `count` long-lived connections of each kind given; answers when all are up and have moved some bytes. */
  hold: {
    request: {
      readonly count: number;
      readonly kinds: readonly HeldKind[];
      readonly targets: readonly Endpoint[];
      readonly bytes: number;
      /** How fast a transfer moves while it is held. Default: a megabyte takes some ten seconds. */
      readonly pace?: { readonly everyMs: number; readonly bytes: number };
    };
    response: Held[];
  };
  progress: { request: Record<never, never>; response: HeldProgress[] };
  /** Lets what is held run to its end: everything, or what is held on the servers named. */
  finish: {
    request: { readonly stallMs: number; readonly servers: readonly string[] | null };
    response: Outcome[];
  };
  /** Begins to open new connections steadily, until `load-stop`. */
  'load-start': {
    request: {
      readonly perSecond: number;
      readonly targets: readonly Endpoint[];
      readonly timeoutMs: number;
    };
    response: null;
  };
  'load-stop': { request: Record<never, never>; response: LoadReport };
  /** Begins to send requests that cost the service a fixed amount of work, see work-load.ts; until `work-stop`. */
  'work-start': { request: WorkLoadSpec; response: null };
  /** @returns what came of the requests since it was asked last; those under way not among them */
  'work-taken': { request: Record<never, never>; response: WorkDone[] };
  'work-stop': { request: Record<never, never>; response: WorkDone[] };
  /** Opens UDP flows from the local ports given and sends one datagram of `bytes` in each, one after another. */
  'flows-open': {
    request: {
      readonly flows: ReadonlyArray<{ readonly localPort: number; readonly remote: Endpoint }>;
      readonly bytes: number;
    };
    response: FlowAnswer[];
  };
  /** Sends one datagram of `bytes` in each of the flows named, one after another; answers in their order. */
  'flows-ask': {
    request: { readonly ids: readonly number[]; readonly bytes: number };
    response: FlowAnswer[];
  };
  'flows-close': { request: { readonly ids: readonly number[] }; response: null };
}

export type ClientOperation = keyof ClientOperations;

export interface ClientRequest<Operation extends ClientOperation = ClientOperation> {
  readonly id: number;
  readonly operation: Operation;
  readonly request: ClientOperations[Operation]['request'];
}

export type ClientAnswer =
  | { readonly id: number; readonly response: unknown }
  | { readonly id: number; readonly error: string };
