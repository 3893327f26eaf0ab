import { parentPort, workerData } from 'node:worker_threads';
import { benchDissector, DISSECTOR_CASES, type DissectorInit } from './dissectors.js';

/** One case of `dissectors.ts` in an isolate of its own, so that no case inherits the compiled code of another. */

const { name, rounds } = workerData as DissectorInit;
const which = DISSECTOR_CASES.find((candidate) => candidate.name === name);
if (which === undefined || parentPort === null) throw new Error(`dissector-worker: no case ${name}`);
parentPort.postMessage(benchDissector(which, rounds));
