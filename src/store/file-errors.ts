import { StoreError } from './store.js';

/** What the system says when a file cannot be written, in words that say what to do. */
const UNWRITABLE: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left: make room',
  EDQUOT: 'the quota is used up: make room',
  EROFS: 'its file system is read-only: mount it writable',
  EACCES: 'permission denied: run as the user that owns it',
  EPERM: 'permission denied: run as the user that owns it',
  EMFILE: 'too many files are open: raise the limit',
  ENFILE: 'too many files are open: raise the limit',
};

export function errnoOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** What happened to a file store, for people. @param writing whether it was being written to */
export function fileStoreError(directory: string, error: unknown, writing: boolean): Error {
  if (error instanceof StoreError) return error;
  const errno = errnoOf(error);
  // Not a system call's: a defect.
  if (errno === null) return error instanceof Error ? error : new Error(String(error));
  const options = { cause: error };
  if (errno === 'ENOENT') {
    return new StoreError(
      'unavailable',
      `the store ${directory} is not there any more: put it back`,
      options,
    );
  }
  const advice = UNWRITABLE[errno] ?? (error instanceof Error ? error.message : errno);
  if (writing) {
    return new StoreError('unwritable', `the store ${directory} cannot be written: ${advice}`, options);
  }
  return new StoreError('unavailable', `the store ${directory} cannot be read: ${advice}`, options);
}
