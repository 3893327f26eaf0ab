import { type PortRange, protocolOf, type TrafficsetConfig, widthOf } from '../../src/table/trafficset.js';
import { NO_SERVICE, NOT_VIP } from '../../src/table/vip-matcher.js';

/** The obvious twin of `VipMatcher`: looks at every rule every time. */

type Address = number | Uint32Array;

interface Candidate {
  readonly trafficset: number;
  readonly length: number;
  readonly ports: PortRange;
}

export function matchLinearly(
  trafficsets: readonly TrafficsetConfig[],
  address: Address,
  protocol: number,
  port: number,
): number {
  let isVip = false;
  const candidates: Candidate[] = [];
  for (const [trafficset, { kind, vips, ports }] of trafficsets.entries()) {
    for (const vip of vips) {
      if (!(typeof address === 'number' ? vip.contains4(address) : vip.contains6(address))) continue;
      isVip = true;
      if (protocolOf(kind) !== protocol) continue;
      for (const range of ports) {
        if (port === -1 || (range.first <= port && port <= range.last)) {
          candidates.push({ trafficset, length: vip.length, ports: range });
        }
      }
    }
  }
  if (!isVip) return NOT_VIP;
  candidates.sort(
    (a, b) => b.length - a.length || widthOf(a.ports) - widthOf(b.ports) || a.trafficset - b.trafficset,
  );
  return candidates.at(0)?.trafficset ?? NO_SERVICE;
}

/** Whether two trafficsets claim the same prefix, protocol and port with ranges that do not nest. */
export function hasConflict(trafficsets: readonly TrafficsetConfig[]): boolean {
  return trafficsets.some((a, index) =>
    trafficsets.slice(index + 1).some((b) => {
      if (protocolOf(a.kind) !== protocolOf(b.kind)) return false;
      const shared = a.vips.some((vip) => b.vips.some((other) => String(other) === String(vip)));
      return shared && a.ports.some((range) => b.ports.some((other) => overlapUnnested(range, other)));
    }),
  );
}

function overlapUnnested(a: PortRange, b: PortRange): boolean {
  const overlap = Math.max(a.first, b.first) <= Math.min(a.last, b.last);
  const inside = (inner: PortRange, outer: PortRange) =>
    outer.first <= inner.first && inner.last <= outer.last && widthOf(inner) < widthOf(outer);
  return overlap && !inside(a, b) && !inside(b, a);
}
