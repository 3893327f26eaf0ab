import { accessLink, accessName } from './addresses.js';
import { runScript } from './run.js';

/** Where a NAT lets its clients appear: an IPv4 address of its own, and ports (both ends belong to the range). */
export interface Mapping {
  readonly address: string;
  readonly ports: readonly [number, number];
}

/**
 * A NAT for IPv4 and UDP at a client's access router. It is silent about what it has no mapping for, as such boxes are.
 * Connections must begin behind it: one that is older than the NAT may stay without a mapping.
 */
export class Nat {
  private readonly namespace: string;

  constructor(readonly client: number) {
    this.namespace = accessName(client);
  }

  /** The router's own address on its link. */
  get address(): string {
    return accessLink(this.client).own[4];
  }

  /**
   * From now on clients appear there, those too that appeared elsewhere before: every mapping is forgotten, as if its
   * timer had run out.
   */
  async map({ address, ports: [low, high] }: Mapping): Promise<void> {
    await runScript(
      this.namespace,
      `nft -f - <<'END'
table ip twohop_nat
delete table ip twohop_nat
table ip twohop_nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "eth0" meta l4proto udp snat to ${address}:${low}-${high} random
  }
  chain input {
    type filter hook input priority filter
    iifname "eth0" meta l4proto udp drop
  }
}
END
conntrack --flush 2>/dev/null`,
    );
  }

  async remove(): Promise<void> {
    await runScript(this.namespace, 'nft delete table ip twohop_nat\nconntrack --flush 2>/dev/null');
  }
}
