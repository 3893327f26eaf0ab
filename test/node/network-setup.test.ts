import { describe, expect, it } from 'vitest';
import {
  type NetworkPlan,
  planDevice,
  planSteering,
  printSteps,
  printUndo,
} from '../../src/node/network-setup.js';
import { parsePrefix } from '../../src/table/address.js';

const PLAN: NetworkPlan = {
  tun: 'lb0',
  mtu: 9000,
  persistent: true,
  interface: 'eth0',
  steering: 'tc',
  vips: ['192.0.2.0/24', '198.18.0.0/15', '2001:db8:100::/64'].map(parsePrefix),
  localRoutes: true,
  stickyReplies: false,
  generation: 0,
};

describe('network set-up', () => {
  it('steers with tc', () => {
    expect(printSteps(planSteering(PLAN))).toEqual([
      'ip link set dev lb0 mtu 9000 txqueuelen 10000',
      'ip link set dev lb0 addrgenmode none',
      'sysctl -w net.ipv4.conf.lb0.rp_filter=0',
      'sysctl -w net.ipv4.conf.all.rp_filter=0',
      'ip link set dev lb0 up',
      'ip -4 route add local 192.0.2.0/24 dev lo || true',
      'ip -4 route add local 198.18.0.0/15 dev lo || true',
      'ip -6 route add local 2001:db8:100::/64 dev lo || true',
      'sysctl -w net.ipv6.ip_nonlocal_bind=1',
      'tc qdisc add dev eth0 clsact || true',
      'tc filter add dev eth0 ingress pref 7700 protocol ip u32 match ip dst 192.0.2.0/24 action mirred egress redirect dev lb0',
      'tc filter add dev eth0 ingress pref 7700 protocol ip u32 match ip dst 198.18.0.0/15 action mirred egress redirect dev lb0',
      'tc filter add dev eth0 ingress pref 7701 protocol ipv6 u32 match ip6 dst 2001:db8:100::/64 action mirred egress redirect dev lb0',
    ]);
  });

  it('makes the device beforehand where it is to outlive the node', () => {
    expect(printSteps(planDevice(PLAN))).toEqual(['ip tuntap add dev lb0 mode tun multi_queue || true']);
    expect(planDevice({ ...PLAN, persistent: false })).toEqual([]);
  });

  it('takes back in the opposite order', () => {
    expect(printUndo([...planDevice(PLAN), ...planSteering(PLAN)])).toEqual([
      'tc filter del dev eth0 ingress pref 7701',
      'tc filter del dev eth0 ingress pref 7700',
      'ip -6 route del local 2001:db8:100::/64 dev lo',
      'ip -4 route del local 198.18.0.0/15 dev lo',
      'ip -4 route del local 192.0.2.0/24 dev lo',
      'ip tuntap del dev lb0 mode tun multi_queue',
    ]);
  });

  it('uses other preferences for the generation that takes over', () => {
    const lines = printSteps(planSteering({ ...PLAN, generation: 1 })).join('\n');
    expect(lines).toContain('pref 7702');
    expect(lines).not.toContain('pref 7700');
  });

  it('steers by policy routing, adding the new local rule before the old one goes', () => {
    const lines = printSteps(planSteering({ ...PLAN, steering: 'policy', localRoutes: false }));
    expect(lines[0]).toBe('ip link set dev lb0 mtu 9000 txqueuelen 10000');
    expect(lines.slice(5)).toEqual([
      'sysctl -w net.ipv4.ip_forward=1',
      'sysctl -w net.ipv4.ip_early_demux=0',
      'ip -4 route replace default dev lb0 table 100',
      'ip -4 route add blackhole default table 100 metric 4242 || true',
      'ip -4 rule add pref 10 iif eth0 to 192.0.2.0/24 lookup 100 || true',
      'ip -4 rule add pref 10 iif eth0 to 198.18.0.0/15 lookup 100 || true',
      'ip -4 rule add pref 100 lookup local || true',
      'ip -4 rule del pref 0 lookup local || true',
      'sysctl -w net.ipv6.conf.all.forwarding=1',
      'ip -6 route replace default dev lb0 table 100',
      'ip -6 route add blackhole default table 100 metric 4242 || true',
      'ip -6 rule add pref 10 iif eth0 to 2001:db8:100::/64 lookup 100 || true',
      'ip -6 rule add pref 100 lookup local || true',
      'ip -6 rule del pref 0 lookup local || true',
    ]);
  });

  it('marks replies that a service pinned to the TUN', () => {
    const [line] = printSteps(planSteering({ ...PLAN, stickyReplies: true })).filter((step) =>
      step.startsWith('nft'),
    );
    expect(line).toContain('oifname "lb0" ip saddr 192.0.2.0/24 meta mark set');
    expect(line).toContain('oifname "lb0" ip6 saddr 2001:db8:100::/64 meta mark set');
    expect(line).toContain('type route hook output');
  });
});
