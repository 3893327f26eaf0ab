import { parentPort, workerData } from 'node:worker_threads';
import { benchMemory, MEMORY_CASES, type MemoryInit } from './memory.js';
import { checkTwin } from './twin-check.js';

/** One case of `memory.ts` in an isolate of its own, so that no case inherits the compiled code of another. */

const { name, library, options } = workerData as MemoryInit;
const which = MEMORY_CASES.find((candidate) => candidate.name === name);
if (which === undefined || parentPort === null) throw new Error(`memory-worker: no case ${name}`);
// Packets of every kind first: code that was only ever shown one kind is faster than a node's.
checkTwin(library, 4000);
parentPort.postMessage(benchMemory(library, which, options));
