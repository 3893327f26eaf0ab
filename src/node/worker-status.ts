/**
 * What a worker tells of itself, in shared memory: it writes, the main thread reads. Aligned doubles, so that no
 * value is ever seen half-written.
 */

export const STATUS_FIELDS = [
  /** Last message taken from the main thread. */
  'sequence',
  /** Times poll(2) returned. */
  'wakeups',
  'batches',
  'tunReceivedPackets',
  'tunReceivedBytes',
  'tunReceivedErrors',
  'tunSentPackets',
  'tunSentBytes',
  'tunSentErrors',
  'gueReceivedPackets',
  'gueReceivedBytes',
  'gueReceivedErrors',
  /** Lost in a full receive buffer. */
  'gueKernelDrops',
  'underlaySentPackets',
  'underlaySentBytes',
  'underlaySentErrors',
  /** Among them: larger than the interface's MTU. */
  'underlayTooBig',
  'lookupHits',
  'lookupMisses',
  'kernelLookups',
] as const;

export type StatusField = (typeof STATUS_FIELDS)[number];

export class WorkerStatus {
  readonly values: Float64Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(STATUS_FIELDS.length * 8)) {
    this.values = new Float64Array(memory);
  }

  get(field: StatusField): number {
    return this.values[STATUS_FIELDS.indexOf(field)];
  }
}

/** A field's sum over the workers. */
export function sumOf(workers: readonly WorkerStatus[], field: StatusField): number {
  return workers.reduce((total, status) => total + status.get(field), 0);
}

/** Indices into {@link WorkerStatus.values}, for the worker's loop. */
export const STATUS_INDEX = Object.fromEntries(
  STATUS_FIELDS.map((field, index) => [field, index]),
) as Readonly<Record<StatusField, number>>;
