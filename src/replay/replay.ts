import { AsciiText } from '../io/capture/ascii-text.js';
import type { CaptureReader } from '../io/capture/reader.js';
import { CaptureRecord } from '../io/capture/record.js';
import { Stage } from '../path/counters.js';
import { IP_PROTOCOL_UDP } from '../wire/ip.js';
import { IPV4_AT_DESTINATION, IPV4_AT_PROTOCOL, IPV4_HEADER } from '../wire/ipv4.js';
import { CUT_BEFORE_IP, ipOffset, UNSUPPORTED_LINK_TYPE } from '../wire/link.js';
import { UDP_AT_DESTINATION_PORT, UDP_HEADER } from '../wire/udp.js';
import type { ReplayFleet, ReplayServer } from './fleet.js';
import { StepComments } from './step-comments.js';
import { type StepDetail, StepTeller } from './step-detail.js';
import { type Journeys, ReplaySummary } from './summary.js';
import { type Beginning, LONGEST, Traveller, type WayEnd } from './traveller.js';
import { WatchedBatch, type WatchedView } from './watched-batch.js';

export type ReplayStage = 'forward' | 'redirect' | 'journey';

/** Takes what comes out. */
export interface ReplaySink {
  /** Whether the comments are worth making. */
  readonly wantsComments: boolean;
  /** What the traveller's last step made of the packet. */
  step(record: CaptureRecord, traveller: Traveller, comment: AsciiText): void;
  /** A packet that no stage saw. */
  kept(record: CaptureRecord, comment: string): void;
}

export interface PathReplayOptions {
  readonly fleet: ReplayFleet;
  readonly stage: ReplayStage;
  /** The server that sees the packets; null: the first, and for wrapped packets the one they are addressed to. */
  readonly as: ReplayServer | null;
  readonly output: ReplaySink | null;
  /** Told of every packet when given. */
  readonly onPacket: ((packet: PacketDetail) => void) | null;
}

export interface ReplayOptions extends PathReplayOptions {
  readonly input: CaptureReader;
  /** Told now and then, between two reads. */
  readonly onProgress?: (packets: number) => void;
  /** Ends the replay after the packets at hand. */
  readonly signal?: AbortSignal;
}

export interface PacketDetail {
  /** Counts from 1, as Wireshark does. */
  readonly packet: number;
  /** Seconds since the epoch, nine decimals. */
  readonly time: string;
  /** Of the frame on the wire and in the capture, in bytes. */
  readonly length: number;
  readonly captured: number;
  readonly end: PacketEnd;
  /** The server at which it ended, where there was one. */
  readonly server: string | null;
  readonly steps: readonly StepDetail[];
}

/**
 * A way's end, or why a packet had none: `not-ip`, a frame that a node's TUN device never sees; `cut`, the capture does
 * not hold the bytes that decide; `too-long`, longer than an IP packet can be.
 */
export type PacketEnd = WayEnd | 'not-ip' | 'cut' | 'too-long';

const NO_COMMENT = new AsciiText();

/** Runs every packet of a capture through the path. */
export async function replay(options: ReplayOptions): Promise<ReplaySummary> {
  const run = new PathReplay(options);
  const { input, signal, onProgress } = options;
  const record = new CaptureRecord();
  do {
    while (input.next(record)) run.packet(record);
    onProgress?.(run.summary.packets);
  } while (await moreUnlessAborted(input, signal));
  run.summary.cut = input.cut;
  return run.summary;
}

/** An input that stays silent must not keep who wants to stop. */
function moreUnlessAborted(input: CaptureReader, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal === undefined) return input.more();
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(false);
    signal.addEventListener('abort', stop, { once: true });
    input
      .more()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

/** The path, one packet after another. */
export class PathReplay {
  readonly summary: ReplaySummary;
  private readonly traveller: Traveller;
  private readonly teller: StepTeller;
  private readonly comments: StepComments;
  /** Made when the first packet comes that is cut. */
  private trial: Trial | null = null;
  private readonly begin: Beginning;
  private readonly entry: ReplayServer;
  private readonly journeys: Journeys;

  constructor(private readonly options: PathReplayOptions) {
    const { fleet } = options;
    this.entry = options.as ?? fleet.servers[0];
    this.begin = { server: this.entry, stage: Stage.Forward, journey: options.stage === 'journey' };
    this.summary = new ReplaySummary(fleet);
    this.journeys = this.summary.journeys;
    this.traveller = new Traveller(fleet);
    this.teller = new StepTeller(fleet);
    this.comments = new StepComments(fleet);
  }

  packet(record: CaptureRecord): void {
    const { summary, options, traveller, begin } = this;
    const { bytes, data, offset, capturedLength, originalLength } = record;
    summary.packets++;
    summary.bytes += originalLength;
    const limit = offset + capturedLength;
    const ip = ipOffset(record.linkType, data, offset, limit);
    if (ip < 0) {
      this.leaveFrame(record, ip);
      return;
    }
    const present = limit - ip;
    const length = Math.max(present, originalLength - (ip - offset));
    this.findBeginning(data, ip, limit);
    traveller.now = millisecondsOf(record);
    if (length > present && !this.isDecided(bytes, ip, present, length)) {
      this.leaveCut(record);
      return;
    }
    if (!traveller.load(bytes, ip, present, length)) {
      summary.tooLong++;
      this.leave(record, 'too-long', `too_long: ${length} bytes are more than an IP packet can have`);
      return;
    }

    const details: StepDetail[] | null = options.onPacket === null ? null : [];
    const { output } = options;
    traveller.start(begin.server, begin.stage);
    do {
      traveller.step();
      details?.push(this.teller.detail(traveller));
      output?.step(record, traveller, output.wantsComments ? this.comments.comment(traveller) : NO_COMMENT);
    } while (begin.journey && traveller.follow());
    this.journeys.count(traveller);
    if (details !== null) this.tell(record, traveller.end, traveller.server.name, details);
  }

  /** Whether the capture holds all that the path looks at: tried, with what is missing under watch. */
  private isDecided(bytes: Buffer, ip: number, present: number, length: number): boolean {
    const { begin } = this;
    this.trial ??= new Trial(this.options.fleet);
    const { traveller, watched } = this.trial;
    if (!traveller.load(bytes, ip, present, length)) return true;
    watched.end = traveller.present;
    watched.readBehind = false;
    traveller.now = this.traveller.now;
    traveller.start(begin.server, begin.stage);
    do traveller.step();
    while (begin.journey && traveller.follow());
    return !watched.readBehind;
  }

  /** Where the packet comes in: wrapped ones at the redirector of the server that they are addressed to. */
  private findBeginning(data: DataView, ip: number, limit: number): void {
    const { begin, entry, options } = this;
    const { stage, fleet } = options;
    begin.server = entry;
    begin.stage = stage === 'redirect' ? Stage.Redirect : Stage.Forward;
    if (stage === 'forward' || (stage === 'redirect' && options.as !== null)) return;
    if (limit - ip < IPV4_HEADER || data.getUint8(ip) >>> 4 !== 4) return;
    const server = fleet.at(data.getUint32(ip + IPV4_AT_DESTINATION));
    if (server === undefined) return;
    if (stage === 'journey') {
      if (data.getUint8(ip + IPV4_AT_PROTOCOL) !== IP_PROTOCOL_UDP) return;
      const udp = ip + ((data.getUint8(ip) & 0x0f) << 2);
      if (udp + UDP_HEADER > limit) return;
      if (data.getUint16(udp + UDP_AT_DESTINATION_PORT) !== server.state.port) return;
      begin.stage = Stage.Redirect;
    }
    begin.server = server;
  }

  /** A frame without an IP packet that could be found. @param reason from `ipOffset` */
  private leaveFrame(record: CaptureRecord, reason: number): void {
    const { summary } = this;
    if (reason === CUT_BEFORE_IP) {
      this.leaveCut(record);
    } else if (reason === UNSUPPORTED_LINK_TYPE) {
      summary.unsupported.add(record.linkType);
      summary.notIp++;
      this.leave(record, 'not-ip', `not_ip: link type ${record.linkType} is not understood`);
    } else {
      summary.notIp++;
      this.leave(record, 'not-ip', 'not_ip: the frame carries no IP packet, so no node would see it');
    }
  }

  private leaveCut(record: CaptureRecord): void {
    this.summary.undecided++;
    const left = `${record.capturedLength} of ${record.originalLength} bytes`;
    this.leave(record, 'cut', `cut: the capture holds ${left}, too few to tell what would happen`);
  }

  /** A packet that no stage saw. */
  private leave(record: CaptureRecord, end: PacketEnd, comment: string): void {
    this.options.output?.kept(record, comment);
    this.tell(record, end, null, []);
  }

  private tell(record: CaptureRecord, end: PacketEnd, server: string | null, steps: StepDetail[]): void {
    this.options.onPacket?.({
      packet: this.summary.packets,
      time: `${record.seconds}.${String(record.nanoseconds).padStart(9, '0')}`,
      length: record.originalLength,
      captured: record.capturedLength,
      end,
      server,
      steps,
    });
  }
}

/** Packets without a time, or from before 1970, are all of one moment. */
function millisecondsOf({ seconds, nanoseconds }: CaptureRecord): number {
  return Math.max(1, 1000 * seconds + nanoseconds / 1e6);
}

/** A traveller that leaves no trace, in a batch that notices what is looked at. */
class Trial {
  readonly traveller: Traveller;
  readonly watched: WatchedView;

  constructor(fleet: ReplayFleet) {
    const batch = new WatchedBatch(LONGEST);
    this.watched = batch.data;
    this.traveller = new Traveller(fleet, true, batch);
  }
}
