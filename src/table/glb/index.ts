/** Tables of GitHub's director. */
export { decodeGlbBinary, encodeGlbBinary, GLB_FORMAT_VERSION, looksLikeGlbBinary } from './binary.js';
export { type GlbTableSource, glbForwardingTableShape, readGlbJson } from './forwarding-json.js';
export { readGlbBinaryFile, readGlbFile, writeGlbBinaryFile } from './glb-file.js';
export {
  formatGlbAddress,
  formatGlbBind,
  GLB_MAX_BACKENDS,
  GLB_MAX_BINDS,
  GLB_ROWS,
  type GlbAddress,
  type GlbBackend,
  type GlbBind,
  type GlbState,
  type GlbTable,
  parseGlbAddress,
} from './glb-table.js';
export { buildGlbTable } from './rendezvous.js';
export { type ForwardingTableOptions, glbToForwardingTable } from './to-forwarding-table.js';
