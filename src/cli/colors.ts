import pc from 'picocolors';

/** For standard output: colours on a terminal only. picocolors alone takes a CI job's log for one, and pipes with it. */
export const colors = pc.createColors(pc.isColorSupported && process.stdout.isTTY === true);
