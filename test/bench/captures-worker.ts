import { parentPort, workerData } from 'node:worker_threads';
import { benchCapture, type CaptureInit } from './captures.js';

/** Measures one case of captures.ts, in an isolate of its own, and posts its row. */

const init: CaptureInit = workerData;
parentPort?.postMessage(await benchCapture(init));
