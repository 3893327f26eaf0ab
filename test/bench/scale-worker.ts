import { parentPort, workerData } from 'node:worker_threads';
import { benchScale, SCALE_CASES, type ScaleInit } from './scale.js';
import { checkTwin } from './twin-check.js';

/** One case of `scale.ts` in an isolate of its own, so that no case inherits the compiled code of another. */

const { name, library, rounds } = workerData as ScaleInit;
const which = SCALE_CASES.find((candidate) => candidate.name === name);
if (which === undefined || parentPort === null) throw new Error(`scale-worker: no case ${name}`);
// Packets of every kind first: code that was only ever shown one kind is faster than a node's.
checkTwin(library, 4000);
parentPort.postMessage(benchScale(which, library, rounds));
