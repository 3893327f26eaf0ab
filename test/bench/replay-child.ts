import { readFileSync, writeSync } from 'node:fs';
import { replayCommand } from '../../src/cli/replay.js';

// `twohop replay` in a process of its own; at its end, the most memory it held, in kilobytes, goes to descriptor 3.
// Not `resourceUsage().maxRSS`: that begins with what the process had that started this one.
process.on('exit', () => {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  writeSync(3, peak?.[1] ?? '');
});
await replayCommand().parseAsync();
