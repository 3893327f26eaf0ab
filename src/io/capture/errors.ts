/** A capture that cannot be read, written or made. The message says what is wrong, where, and what to do. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
}
