export * from './dissector.js';
export * from './flow.js';
export * from './flow-key.js';
export * from './four-tuple.js';
export * from './halfsiphash.js';
export * from './quic-lb.js';
export * from './registry.js';
export * from './siphash.js';
