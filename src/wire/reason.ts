/**
 * Why bytes are not what a header says they are.
 *
 * Nothing in `wire/` throws on bad bytes: `attach` and `parse` return one of these codes, and 0 means that
 * every accessor of the view is now safe to call.
 */
export const Reason = {
  Ok: 0,
  /** The buffer ends before the header (or its options) does. */
  Truncated: 1,
  /** The version nibble is not the one expected. */
  BadVersion: 2,
  /** A header length field is smaller than the fixed header. */
  BadHeaderLength: 3,
  /** A total or payload length field is smaller than the header or larger than the bytes present. */
  BadLength: 4,
  /** More IPv6 extension headers than {@link MAX_EXTENSION_HEADERS}. */
  ExtensionChainTooLong: 5,
  /** GUE variant other than 0. */
  UnsupportedVariant: 6,
  /** GUE control message, or flags that are not understood. */
  UnsupportedFlags: 7,
  /** The second-hop list disagrees with the header around it. */
  BadHopList: 8,
  /** A protocol number or message type that the parser does not know. */
  UnknownType: 9,
  /** An IPv4 or IPv6 fragment where a whole packet is needed. */
  Fragment: 10,
  /** A checksum does not match. */
  BadChecksum: 11,
} as const;

export type Reason = (typeof Reason)[keyof typeof Reason];

/** Names in the order of the codes, for traces and messages. */
export const REASON_NAMES: readonly string[] = [
  'ok',
  'truncated',
  'bad-version',
  'bad-header-length',
  'bad-length',
  'extension-chain-too-long',
  'unsupported-variant',
  'unsupported-flags',
  'bad-hop-list',
  'unknown-type',
  'fragment',
  'bad-checksum',
];
