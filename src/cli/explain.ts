import { Command, Option } from 'commander';
import { explain } from '../replay/explain/explain.js';
import { readPacketArgument } from '../replay/explain/packet-argument.js';
import { loadFleet, serverNamed } from '../replay/load.js';
import { readTableFile } from '../table/table-file.js';
import { LINKTYPE } from '../wire/link.js';
import { describeExplanation } from './explain-output.js';
import { repeated } from './options.js';

interface ExplainOptions {
  readonly config: string;
  readonly as?: string;
  readonly sockets?: string;
  readonly table: readonly string[];
  readonly against?: string;
  readonly link?: 'ethernet' | 'raw';
  readonly json?: true;
}

/** `twohop explain`: everything about one packet. */
export function explainCommand(): Command {
  return new Command('explain')
    .description(
      'explain one packet: its bytes, its trafficset, bucket and hops, what leaves, and what each server does',
    )
    .argument('<packet>', 'FILE#N, hexadecimal, base64, or a packet line (see below)')
    .requiredOption('-c, --config <cluster.yaml>', 'the fleet: servers, trafficsets, tables')
    .option('--as <server>', 'the server that sees it first (default: the first)')
    .option(
      '--sockets <file>',
      'sockets and sessions of the servers (default: everyone listens on everything)',
    )
    .option(
      '--table <file>',
      'a forwarding table to use instead of a configured one; repeat it',
      repeated,
      [],
    )
    .option('--against <file>', 'another forwarding table: what would change for this flow')
    .addOption(
      new Option(
        '--link <type>',
        'link layer of bytes given in hexadecimal or base64 (default: by the first nibble)',
      ).choices(['ethernet', 'raw']),
    )
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `
A packet line is made into a packet with right lengths and checksums:
  tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN
  udp [2001:db8::7]:5000 > [2001:db8:100::1]:53 data "hello"
  icmp fragmentation-needed 203.0.113.1 > 192.0.2.1 mtu 1400 about ( tcp 192.0.2.1:80 > 198.51.100.7:40000 ACK )
  gue 10.0.2.1 > 10.0.1.1 hops 10.0.3.1 ( tcp 198.51.100.7:40000 > 192.0.2.1:80 ACK )

Examples:
  twohop explain 'tcp 198.51.100.7:40000 > 192.0.2.1:80 SYN' --config cluster.yaml
  twohop explain in.pcap#12 --config cluster.yaml --against tables/web.new.table`,
    )
    .action(async (packet: string, options: ExplainOptions) => {
      const fleet = loadFleet({
        config: options.config,
        tables: options.table,
        sockets: options.sockets ?? null,
      });
      const as = options.as === undefined ? null : serverNamed(fleet, options.as);
      const linkType =
        options.link === undefined ? null : options.link === 'raw' ? LINKTYPE.RAW : LINKTYPE.ETHERNET;
      const frame = await readPacketArgument(packet, linkType);
      const against = options.against === undefined ? null : readTableFile(options.against);
      const explanation = explain(frame, fleet, as, against);
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify(explanation, bytesAsHex, 2)}\n`
          : `${describeExplanation(explanation)}\n`,
      );
    });
}

function bytesAsHex(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
