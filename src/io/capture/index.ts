/** Capture files: pcap and pcapng. */
export { CaptureError } from './errors.js';
export { type CaptureOption, commentsOf } from './options.js';
export { type CaptureInterface, CaptureReader } from './reader.js';
export { CaptureRecord } from './record.js';
export { type CaptureWriter, Direction, type InterfaceInit, openWriter } from './writer.js';
