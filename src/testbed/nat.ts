import { runScript } from './run.js';

/** Where a NAT lets its clients appear: an IPv4 address of its own, and ports (both ends belong to the range). */
export interface Mapping {
  readonly address: string;
  readonly ports: readonly [number, number];
}

/** Which packets a NAT is there for, as nftables matches them. */
export interface Traffic {
  /** From its clients. */
  readonly outgoing: string;
  /** To its clients, or to the addresses that it lets them appear at. */
  readonly incoming: string;
}

/** All UDP of an access router: see `accessSetup` in namespace-setup.ts. */
export const UDP_OF_ACCESS: Traffic = {
  outgoing: 'oifname "eth0" meta l4proto udp',
  incoming: 'iifname "eth0" meta l4proto udp',
};

/**
 * A NAT for IPv4 and UDP in a router's namespace. It is silent about what it has no mapping for, as such boxes are;
 * taken for a new connection, that would make its own mapping. Connections must begin behind it: one that is older
 * than the NAT may stay without a mapping.
 */
export class Nat {
  constructor(
    private readonly namespace: string,
    private readonly traffic: Traffic,
  ) {}

  /**
   * From now on clients appear there, those too that appeared elsewhere before: every mapping is forgotten, as if its
   * timer had run out. What comes to that address has to be led to this namespace, and there into itself or nowhere.
   */
  async map({ address, ports: [low, high] }: Mapping): Promise<void> {
    const { outgoing, incoming } = this.traffic;
    await runScript(
      this.namespace,
      // In one step: a packet that found the chain without its rule would have a mapping, to itself.
      `nft -f - <<'END'
table ip twohop_nat
delete table ip twohop_nat
table ip twohop_nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ${outgoing} snat to ${address}:${low}-${high} fully-random
  }
  chain input {
    type filter hook input priority filter
    ${incoming} ct state new drop
  }
  chain forward {
    type filter hook forward priority filter
    ${incoming} ct state new drop
  }
}
END
conntrack --flush`,
    );
  }

  async remove(): Promise<void> {
    await runScript(this.namespace, 'nft delete table ip twohop_nat\nconntrack --flush');
  }
}
