import { Command, InvalidArgumentError, Option } from 'commander';
import { CaptureError } from '../io/capture/errors.js';
import { CaptureReader } from '../io/capture/reader.js';
import { CaptureRecord } from '../io/capture/record.js';
import { type Frame, readPacketArgument } from '../replay/explain/packet-argument.js';
import { LINKTYPE } from '../wire/link.js';
import { type DissectForm, DissectPrinter } from './dissect-output.js';
import { ExitCode } from './exit.js';
import { LineOutput } from './line-output.js';
import { wholeNumber } from './options.js';

interface DissectCommandOptions {
  readonly tree?: true;
  readonly json?: true;
  readonly count?: number;
  readonly only?: number;
  readonly guePort?: number;
  readonly hex?: string;
  readonly base64?: string;
  readonly link?: 'ethernet' | 'raw';
}

/** `twohop dissect`: what the packets of a capture say. */
export function dissectCommand(): Command {
  return new Command('dissect')
    .description('show packets: a readable line each, or byte by byte')
    .argument('[capture]', 'pcap or pcapng, also gzipped; - for standard input')
    .option('--tree', 'show every header and field, with their bytes')
    .addOption(
      new Option('--json', 'a line of JSON per packet, with all layers and fields').conflicts('tree'),
    )
    .option('-c, --count <n>', 'stop after so many packets', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .addOption(
      new Option('--only <n>', 'show only the packet of this number; the first is 1')
        .argParser(wholeNumber(1, Number.MAX_SAFE_INTEGER))
        .conflicts('count'),
    )
    .option('--gue-port <port>', 'a UDP port of GUE, besides 6080 and 19523', wholeNumber(1, 65_535))
    .option('--hex <bytes>', 'show this packet, given in hexadecimal, instead of a capture', hexadecimal)
    .addOption(
      new Option('--base64 <text>', 'show this packet, given in base64').conflicts(['hex', 'count', 'only']),
    )
    .addOption(
      new Option(
        '--link <type>',
        'link layer of bytes given by --hex or --base64 (default: by the first nibble)',
      ).choices(['ethernet', 'raw']),
    )
    .addHelpText(
      'after',
      `
A line has the packet's number, the seconds since the first one, and what it says: | stands in front of a packet that is
wrapped in another one, "about" in front of one that an ICMP error quotes, * in front of the hop to try next. Problems
stand in brackets behind; a checksum is wrong, too, in a capture made where the network card fills it in later.

Examples:
  twohop dissect in.pcap
  tcpdump -i eth0 -U -w - udp port 6080 | twohop dissect -
  twohop dissect in.pcapng --only 12 --tree
  twohop dissect --hex 4500001c000100004001ad6cc0a801010ac801030800f7ff00000000 --tree

Exit codes:
  0  all packets are shown, whatever their bytes
  1  the capture is cut or damaged: what lies before that is shown
  2  a file cannot be read or is no capture, or the command line is wrong`,
    )
    .action(async (capture: string | undefined, options: DissectCommandOptions, command: Command) => {
      const given = options.hex ?? (options.base64 === undefined ? undefined : `base64:${options.base64}`);
      if ((capture === undefined) === (given === undefined)) {
        command.error('error: give a capture, or one packet with --hex or --base64', {
          exitCode: ExitCode.Usage,
        });
      }
      if (options.link !== undefined && given === undefined) {
        command.error('error: --link belongs to --hex and --base64: a capture knows its link layer', {
          exitCode: ExitCode.Usage,
        });
      }
      const output = new LineOutput();
      const printer = new DissectPrinter(output, formOf(options), options.guePort);
      try {
        if (given !== undefined) printer.printFrame(await readFrame(given, options.link));
        else if (capture !== undefined) await dissectCapture(capture, printer, output, options);
      } finally {
        await output.end();
      }
    });
}

function formOf({ tree, json }: DissectCommandOptions): DissectForm {
  if (json) return 'json';
  return tree ? 'tree' : 'line';
}

function readFrame(given: string, link: DissectCommandOptions['link']): Promise<Frame> {
  if (link === undefined) return readPacketArgument(given, null);
  return readPacketArgument(given, link === 'raw' ? LINKTYPE.RAW : LINKTYPE.ETHERNET);
}

async function dissectCapture(
  path: string,
  printer: DissectPrinter,
  output: LineOutput,
  { count, only }: DissectCommandOptions,
): Promise<void> {
  const last = only ?? count ?? Number.POSITIVE_INFINITY;
  const reader = await CaptureReader.open(path);
  const record = new CaptureRecord();
  let number = 0;
  try {
    do {
      while (number < last && reader.next(record)) {
        number++;
        if (number === 1) printer.startAt(record);
        if (only === undefined || number === only) printer.printRecord(number, record);
      }
      output.flush();
    } while (number < last && !output.closed && (await reader.more()));
  } finally {
    await reader.close();
  }
  if (number >= last || output.closed) return;
  if (reader.cut !== null) {
    process.stderr.write(`twohop: ${path}: ${reader.cut}\n`);
    process.exitCode = ExitCode.Failed;
  }
  if (only !== undefined) {
    throw new CaptureError(`${path}: there is no packet ${only}: it has ${number === 0 ? 'none' : number}`);
  }
}

function hexadecimal(text: string): string {
  if (/^(0x)?([0-9a-f]{2})+$/i.test(text.replace(/[\s:]/g, ''))) return text;
  throw new InvalidArgumentError('Give an even number of hexadecimal digits.');
}
