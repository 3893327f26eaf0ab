/**
 * Twohop as a library: the rooms of the packet path. The rooms themselves can be imported one file at a time
 * (`twohop/wire/gue.js`); processes (node, testbed) are run through the `twohop` command.
 */
export * from './flow/index.js';
export * from './io/index.js';
export * from './path/index.js';
export * from './table/index.js';
export * as wire from './wire/index.js';
