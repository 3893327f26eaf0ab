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
