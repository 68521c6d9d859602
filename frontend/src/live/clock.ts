/** How long a frame is remembered by, as a witness of the server's time. */
const REMEMBERED_MS = 30_000;

/**
 * The server's time, as this page knows it. Nothing on the page is judged by the browser's own clock: that may be wrong
 * by hours, and its day may be changed at any time. What counts is `performance.now()`, which only ever goes on.
 */
export class ServerClock {
  private offset = Number.NEGATIVE_INFINITY;
  private samples: { at: number; offset: number }[] = [];
  private heldAt: number | null = null;

  /** `monotonic`: `performance.now()` or what stands for it in a test. */
  constructor(private readonly monotonic: () => number) {}

  get known(): boolean {
    return Number.isFinite(this.offset);
  }

  /**
   * A frame says that it was made at this time of the server, in ms since 1970. The way here takes a while, never less
   * than nothing, so of the last half minute's frames the one that came fastest tells best.
   */
  observe(serverMs: number): void {
    const at = this.monotonic();
    while (this.samples[0] && at - this.samples[0].at >= REMEMBERED_MS) this.samples.shift();
    this.samples.push({ at, offset: serverMs - at });
    if (this.samples.length > 600) this.samples.shift();
    this.offset = Number.NEGATIVE_INFINITY;
    for (const sample of this.samples) this.offset = Math.max(this.offset, sample.offset);
  }

  /** The server's time now, in ms since 1970; 0 before anything was heard. */
  now(): number {
    if (this.heldAt !== null) return this.heldAt;
    return this.known ? this.monotonic() + this.offset : 0;
  }

  /** Stands still until the next `reset`: while the page is paused, its picture must not go on. */
  hold(): void {
    this.heldAt = this.now();
  }

  reset(): void {
    this.samples = [];
    this.offset = Number.NEGATIVE_INFINITY;
    this.heldAt = null;
  }
}
