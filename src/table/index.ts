/**
 * The room `table`: forwarding tables (rows, snapshots, files, edits), trafficsets, and matching destinations to them.
 */
export { formatIpv4, formatIpv6, Prefix, parseIpv4, parseIpv6, parsePrefix } from './address.js';
export {
  checkTable,
  checkTableInCluster,
  MIN_BUCKETS_PER_SERVER,
  type TableProblem,
} from './check.js';
export {
  type ClusterConfig,
  clusterShape,
  finishCluster,
  loadCluster,
  type ServerConfig,
  type UnderlayConfig,
} from './cluster.js';
export { type ChangedRow, type ChangeKind, diffTables, type ServerDelta, type TableDiff } from './diff.js';
export {
  addServer,
  clearSecondHops,
  type DrainOptions,
  drain,
  HOP_ROLES,
  type HopRoles,
  type MakeTableOptions,
  makeTable,
  type ServerWeight,
  swapHops,
} from './edit.js';
export { TableError, type TableErrorCode } from './errors.js';
export {
  ForwardingTable,
  type ForwardingTableInit,
  HASH_KEY_LENGTH,
  MAX_BUCKETS,
  NAME_PATTERN,
  newSlots,
  type ServerCount,
  type SharedTable,
} from './forwarding-table.js';
export * from './glb/index.js';
export { parseSessions } from './session-file.js';
export { decodeSnapshot, encodeSnapshot, FORMAT_VERSION } from './snapshot.js';
export { readTableFile, type TableFileForm, writeTableFile } from './table-file.js';
export { decodeTableJson, encodeTableJson } from './table-json.js';
export {
  ALL_PORTS,
  formatPortRange,
  type PortRange,
  parsePortRange,
  protocolOf,
  protocolsOf,
  type TrafficsetConfig,
  type TrafficsetKind,
} from './trafficset.js';
export { NO_SERVICE, NOT_VIP, type SharedVips, VipMatcher } from './vip-matcher.js';
export {
  ConfigError,
  type ConfigPath,
  type ConfigProblem,
  type ProblemReport,
  parseYaml,
  readYaml,
  strictShape,
} from './yaml.js';
