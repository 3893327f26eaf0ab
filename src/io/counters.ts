import type { PortCounters } from './port.js';

/**
 * Counters at zero, of one shape for all ports. They begin with a fraction, so that V8 keeps the fields as doubles from
 * the start: an integer field that passes 2^31, which bytes do within seconds, throws away the code of the whole data
 * plane and has it compiled anew, under load (native-notes/performance.md).
 */
export function newCounters(): PortCounters {
  const counters = { packets: 0.5, bytes: 0.5, calls: 0.5, errors: 0.5 };
  counters.packets = 0;
  counters.bytes = 0;
  counters.calls = 0;
  counters.errors = 0;
  return counters;
}
