import { Command } from 'commander';
import { LiveCapture } from '../io/capture/live.js';
import { CaptureRecord } from '../io/capture/record.js';
import { type CaptureWriter, openWriter } from '../io/capture/writer.js';
import { DissectPrinter } from './dissect-output.js';
import { ExitCode } from './exit.js';
import { LineOutput } from './line-output.js';
import { wholeNumber } from './options.js';

interface CaptureCommandOptions {
  readonly interface: string;
  readonly write?: string;
  readonly count?: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly guePort?: number;
}

/** Code of the interface option that holds the filter; the text follows a zero byte. */
const IF_FILTER = 11;

/** `twohop capture`: packets of an interface, as they pass. */
export function captureCommand(): Command {
  return new Command('capture')
    .description('capture packets of an interface: a readable line each, and a file')
    .argument('[filter...]', 'which packets, as for tcpdump: udp port 6080')
    .requiredOption('-i, --interface <name>', 'where; any for all interfaces')
    .option('-w, --write <out.pcapng>', 'write a capture; - for standard output (and no lines there)')
    .option('-c, --count <n>', 'stop after so many packets', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--json', 'a line of JSON per packet, with all layers and fields')
    .option('-q, --quiet', 'no line per packet')
    .option('--gue-port <port>', 'a UDP port of GUE, besides 6080 and 19523', wholeNumber(1, 65_535))
    .addHelpText(
      'after',
      `
The lines are those of twohop dissect. The file grows as packets come, and is complete whenever the capture is stopped,
by Ctrl-C or SIGTERM. Needs root (CAP_NET_RAW) and the optional package cap. Packets longer than 65,535 bytes, such as
those of segmentation offload, are cut. The time is that of their arrival here, a little later than in the kernel.

Examples:
  twohop capture -i eth0 -w out.pcapng udp port 6080
  twohop capture -i any -c 10 --json 'icmp or icmp6'

Exit codes:
  0  stopped as asked
  1  it cannot capture, or the interface went down meanwhile: what was captured until then is in the file
  2  the interface, the filter or the file is wrong, or the command line`,
    )
    .action((filter: readonly string[], options: CaptureCommandOptions) => run(filter.join(' '), options));
}

async function run(filter: string, options: CaptureCommandOptions): Promise<void> {
  const { interface: device, write, guePort } = options;
  const capture = await LiveCapture.start(device, filter);
  const stop = () => capture.stop();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const output = new LineOutput();
  try {
    const writer = write === undefined ? null : openWriter(write, { inPlace: true });
    const quiet = options.quiet === true || write === '-';
    const printer = quiet ? null : new DissectPrinter(output, options.json ? 'json' : 'line', guePort);
    process.stderr.write(`capturing on ${device}\n`);
    const captured = await copy(capture, filter, options, writer, printer, output);
    await writer?.close();
    const where = write === undefined || write === '-' ? '' : `, written to ${write}`;
    process.stderr.write(`${captured} packet${captured === 1 ? '' : 's'} captured${where}\n`);
    if (capture.endedByItself && !isEnough(captured, options) && !hasNoReader(writer, output)) {
      process.stderr.write(`twohop: the capture ended by itself: ${device} went down, or away\n`);
      process.exitCode = ExitCode.Failed;
    }
  } finally {
    await capture.close();
    await output.end();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

/** @returns how many packets there were */
async function copy(
  { reader, linkType }: LiveCapture,
  filter: string,
  options: CaptureCommandOptions,
  writer: CaptureWriter | null,
  printer: DissectPrinter | null,
  output: LineOutput,
): Promise<number> {
  const value = Buffer.concat([Buffer.of(0), Buffer.from(filter)]);
  const named = { linkType, snapLength: reader.interfaces[0].snapLength, name: options.interface };
  const iface =
    writer?.addInterface({ ...named, options: filter === '' ? [] : [{ code: IF_FILTER, value }] }) ?? 0;
  const record = new CaptureRecord();
  let captured = 0;
  do {
    while (!isEnough(captured, options) && reader.next(record)) {
      captured++;
      if (captured === 1) printer?.startAt(record);
      printer?.printRecord(captured, record);
      const { seconds, nanoseconds, bytes, offset, capturedLength, originalLength } = record;
      writer?.write(iface, seconds, nanoseconds, bytes, offset, capturedLength, originalLength, '');
    }
    output.flush();
    writer?.flush();
  } while (!isEnough(captured, options) && !hasNoReader(writer, output) && (await reader.more()));
  return captured;
}

function isEnough(captured: number, { count }: CaptureCommandOptions): boolean {
  return count !== undefined && captured >= count;
}

/** Whoever read what we write has had enough. */
function hasNoReader(writer: CaptureWriter | null, output: LineOutput): boolean {
  return output.closed || writer?.broken === true;
}
