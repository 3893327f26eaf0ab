import type { PortCounters } from './port.js';

/** Counters at zero, of one shape for all ports. */
export function newCounters(): PortCounters {
  return { packets: 0, bytes: 0, calls: 0, errors: 0 };
}
