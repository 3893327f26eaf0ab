/** Something a person can put right: the message says what is wrong and what to do, and is printed without a stack. */
export class TestbedError extends Error {
  override readonly name = 'TestbedError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
