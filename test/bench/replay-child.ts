import { writeSync } from 'node:fs';
import { replayCommand } from '../../src/cli/replay.js';

// `twohop replay` in a process of its own; at its end, the most memory it held, in kilobytes, goes to descriptor 3.
process.on('exit', () => {
  writeSync(3, String(process.resourceUsage().maxRSS));
});
await replayCommand().parseAsync();
