/** What the model leaves behind on its way through a packet. */

/** What redirectors count; a system's own counters are these under other names, or some of them. */
export type RedirectEvent =
  | 'l3 ipv4'
  | 'l3 ipv6'
  | 'l4 tcp'
  | 'l4 udp'
  | 'accepted syn'
  | 'accepted syn cookie'
  | 'accepted established'
  | 'accepted last hop'
  | 'accepted self'
  | 'accepted session'
  | 'accepted udp'
  | 'accepted icmp echo request'
  | 'accepted icmp'
  | 'forwarded gue'
  | 'forwarded gre'
  | 'error malformed encapsulation'
  | 'error unknown l3'
  | 'error malformed ip'
  | 'error fragmented ip'
  | 'error unknown l4'
  | 'error malformed tcp'
  | 'error malformed udp'
  | 'error malformed icmp'
  | 'error malformed icmp quote'
  | 'error icmp echo reply'
  | 'error unwanted icmp'
  | 'error redirect loop'
  | 'error mtu';

/** One thing that was looked at. */
export interface RedirectStep {
  /** What was decided or found. */
  readonly what: string;
  /** What it follows from. */
  readonly because: string;
}

/** Events and steps of one packet, in order. */
export class RedirectTrace {
  readonly events: RedirectEvent[] = [];
  readonly steps: RedirectStep[] = [];

  count(event: RedirectEvent): void {
    this.events.push(event);
  }

  tell(what: string, because: string): void {
    this.steps.push({ what, because });
  }
}
