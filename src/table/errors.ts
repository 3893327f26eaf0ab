/** What can be wrong with a forwarding table, its file, an address or a rule. Stable: tests and scripts match on it. */
export type TableErrorCode =
  // Files.
  | 'empty'
  | 'truncated'
  | 'bad-magic'
  | 'older-format'
  | 'newer-format'
  | 'checksum'
  | 'trailing-bytes'
  | 'bad-json'
  | 'unreadable'
  | 'unwritable'
  // Contents.
  | 'bad-name'
  | 'bad-version'
  | 'bad-hash-key'
  | 'bad-bucket-count'
  | 'same-slots'
  | 'empty-first-hop'
  | 'bad-glb-table'
  // Edits.
  | 'bad-weight'
  | 'bad-fraction'
  | 'duplicate-server'
  | 'unknown-server'
  | 'no-servers'
  | 'too-many-servers'
  // Addresses and rules.
  | 'bad-address'
  | 'bad-prefix'
  | 'host-bits'
  | 'bad-port'
  | 'rule-conflict'
  // Sessions.
  | 'bad-session'
  | 'too-many-sessions';

/**
 * An error that a user or a peer caused. The message says what is wrong, where, and what to do about it;
 * `code` names the kind for programs.
 */
export class TableError extends Error {
  readonly code: TableErrorCode;

  constructor(code: TableErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TableError';
    this.code = code;
  }
}
