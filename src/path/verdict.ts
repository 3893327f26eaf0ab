/**
 * What happened to one packet, and why. Every packet that enters the path gets exactly one verdict; it is counted,
 * traced and explained under the name given here.
 */

/** What the node does with a packet once the verdict is known. */
export const Action = {
  /** Nothing leaves. */
  Drop: 0,
  /** Written to the TUN: this server's kernel gets the (inner) packet. */
  Deliver: 1,
  /** Sent over the underlay to `nextHop`. */
  Send: 2,
} as const;
export type Action = (typeof Action)[keyof typeof Action];

interface VerdictInfo {
  readonly name: string;
  readonly action: Action;
  /** One sentence for people. */
  readonly meaning: string;
}

const table = {
  // Forwarder: not the load balancer's business; the kernel gets it unchanged.
  PassNotVip: [Action.Deliver, 'the destination is no VIP'],
  PassNoService: [Action.Deliver, 'the destination is a VIP, but no trafficset has this protocol and port'],
  PassIcmp: [Action.Deliver, 'ICMP about no flow of a trafficset: any server may answer for a VIP'],
  // Forwarder: towards the first hop.
  Forward: [Action.Send, 'wrapped and sent to the first hop'],
  ForwardIcmpError: [Action.Send, 'ICMP error, wrapped and sent to the first hop of the flow it quotes'],
  ForwardNamed: [Action.Send, 'wrapped and sent to the server that the packet names'],
  ForwardIcmpEverywhere: [
    Action.Deliver,
    'ICMP error about a flow whose server its quote does not tell: taken in here, and copied to every other server',
  ],
  // Redirector: taken in here.
  AcceptSyn: [Action.Deliver, 'SYN: new connections belong to the first hop'],
  AcceptEstablished: [Action.Deliver, 'this server has a socket for the flow'],
  AcceptSynCookie: [
    Action.Deliver,
    'the ACK completes a handshake that this server answered with a SYN cookie',
  ],
  AcceptLastHop: [Action.Deliver, 'there is no further hop'],
  AcceptSelf: [Action.Deliver, 'the next hop is this server'],
  AcceptSession: [Action.Deliver, 'the service of this server has the session'],
  AcceptNamed: [Action.Deliver, 'the packet names this server'],
  AcceptIcmpError: [Action.Deliver, 'ICMP error about a flow that lives here, or can live nowhere else'],
  AcceptIcmp: [Action.Deliver, 'ICMP about no flow of a trafficset, wrapped by another node'],
  // Redirector: not here.
  Redirect: [Action.Send, 'no socket or session here, or a SYN that is to go on: sent to the next hop'],
  // Drops.
  DropMalformedIp: [Action.Drop, 'the IP header or its extension headers are malformed'],
  DropMalformedTransport: [Action.Drop, 'the TCP or UDP header is truncated or absurd'],
  DropMalformedIcmp: [Action.Drop, 'the ICMP message or the packet it quotes is truncated or absurd'],
  DropFragment: [Action.Drop, 'a fragment: its flow cannot be told'],
  DropFragmentUnknown: [Action.Drop, 'a later fragment of a datagram whose first one was not seen before it'],
  DropIcmpMismatch: [Action.Drop, 'the ICMP error quotes a packet that its destination did not send'],
  DropIcmpLimit: [
    Action.Drop,
    'an ICMP error to be copied to every server, and too many were just before it',
  ],
  DropNoTable: [Action.Drop, 'the trafficset has no forwarding table yet'],
  DropEmptyBucket: [Action.Drop, 'the bucket has no first hop'],
  DropTooBig: [Action.Drop, 'wrapped, the packet exceeds the MTU of the underlay'],
  DropDissector: [Action.Drop, 'the flow dissector refused the packet'],
  DropMalformedGue: [Action.Drop, 'the outer IPv4, UDP or GUE header is malformed or not understood'],
  DropHopList: [Action.Drop, 'the hop list contradicts itself, or leads out of the underlay'],
  DropStranger: [Action.Drop, 'GUE from an address outside the underlay'],
  DropNotOurs: [Action.Drop, 'GUE for another address or port'],
  DropNotVip: [Action.Drop, 'the inner packet is for nothing this load balancer serves'],
  DropLookupFailed: [
    Action.Drop,
    'the socket lookup failed: a misdirected packet would be worse than a lost one',
  ],
} as const satisfies Record<string, readonly [Action, string]>;

export type VerdictName = keyof typeof table;

/** Code by name: `Verdict.Forward`. Code 0 is "not yet decided" and never counted. */
export const Verdict = Object.freeze(
  Object.fromEntries(Object.keys(table).map((name, index) => [name, index + 1])),
) as Readonly<Record<VerdictName, number>>;

/** By code; index 0 is "undecided". `name` is the snake_case form used in metrics, traces and JSON. */
export const VERDICTS: readonly VerdictInfo[] = [
  { name: 'undecided', action: Action.Drop, meaning: 'not decided yet' },
  ...Object.entries(table).map(([name, [action, meaning]]) => ({
    name: name.replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase(),
    action,
    meaning,
  })),
];

export const VERDICT_COUNT = VERDICTS.length;

/** Action by verdict code. */
export const ACTION_OF: Uint8Array = Uint8Array.from(VERDICTS, (info) => info.action);
