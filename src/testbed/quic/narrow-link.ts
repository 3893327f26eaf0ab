/** Of uploads: what their clients' links would allow. */
export type Pace = 'slow' | 'fast';

/** At the slow pace one datagram is let through per so many milliseconds, */
const INTERVAL_MS = 80;
/** behind as many that pass at once: enough for a handshake, or to validate a path that the client has moved to. */
const BURST = 20;
/** As many wait; more are lost, which keeps the client's congestion window small. */
const QUEUE = 8;

/**
 * Stands in for a narrow link of one client, at the end where the server is. An upload over it takes its time, and there
 * is always something that is not acknowledged yet and will be sent again, wherever the answers go: a client that only
 * received, or that waited for permission to send, would be silent for ever behind a NAT that forgot it.
 */
export class NarrowLink {
  private readonly waiting: (() => void)[] = [];
  private passed = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private pace: Pace) {}

  /** @param deliver is called when the datagram arrives; never when it is lost */
  pass(deliver: () => void): void {
    if (this.pace === 'fast' || this.passed++ < BURST) deliver();
    else if (this.waiting.length < QUEUE) {
      this.waiting.push(deliver);
      this.timer ??= setInterval(() => this.letThrough(), INTERVAL_MS);
    }
  }

  setPace(pace: Pace): void {
    this.pace = pace;
    if (pace === 'fast') while (this.waiting.length > 0) this.letThrough();
  }

  private letThrough(): void {
    this.waiting.shift()?.();
    if (this.waiting.length > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
