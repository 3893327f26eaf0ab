/**
 * How every command ends.
 *
 * | code | meaning |
 * |---|---|
 * | 0 | done, and all that was checked holds |
 * | 1 | it could not be done, or something that was checked does not hold |
 * | 2 | the command line, or a file that it names, is wrong |
 * | 70 | a defect of twohop: please report it |
 */
export const ExitCode = { Ok: 0, Failed: 1, Usage: 2, Defect: 70 } as const;

/** Errors whose message was written for a person; everything else is a defect and shows its stack. */
const FOR_PEOPLE: Readonly<Record<string, number>> = {
  TableError: ExitCode.Usage,
  ConfigError: ExitCode.Usage,
  CaptureError: ExitCode.Usage,
  PacketScriptError: ExitCode.Usage,
  ConformanceError: ExitCode.Usage,
  FleetEventError: ExitCode.Usage,
  TestbedError: ExitCode.Failed,
  SystemError: ExitCode.Failed,
  NetworkSetupError: ExitCode.Failed,
  AdminError: ExitCode.Failed,
  ControlError: ExitCode.Failed,
  RouteError: ExitCode.Failed,
  MissingMeansError: ExitCode.Failed,
  StoreError: ExitCode.Failed,
};

/** Prints the error for a person and sets the exit code. @param code instead of the error's own */
export function fail(error: unknown, code?: number): void {
  if (error instanceof Error && error.name in FOR_PEOPLE) {
    process.stderr.write(`twohop: ${error.message}\n`);
    process.exitCode = code ?? FOR_PEOPLE[error.name];
    return;
  }
  // A system call that failed: its message names the call and the path.
  if (error instanceof Error && 'syscall' in error) {
    const denied = 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM');
    process.stderr.write(`twohop: ${error.message}${denied ? ': run as root' : ''}\n`);
    process.exitCode = code ?? ExitCode.Failed;
    return;
  }
  process.stderr.write(`twohop: unexpected: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = ExitCode.Defect;
}
