/** The watched window's log, as the server's Redis holds it: entries, what they come to, and when there is room again. */
import type { LiveLog, LiveRequest, LogProfile, WindowNow } from "@/api/types";

/** An entry of the log: an admitted request. */
export interface Mark {
  /** When the server logged it, in ms since 1970. */
  ms: number;
  /** Its place in the log: without gaps, never reused. */
  ordinal: number;
  /** What it counts for; 0 once it was taken back. */
  cost: number;
}

/** A denied request. It is in no log: this is what the feed told of it. */
export interface Cross {
  ms: number;
  id: string;
  band: string;
}

/** How long after leaving its window a mark is still kept, as a share of the window: it is seen to drift out. */
export const AFTERWARDS = 0.25;

const MOST_CROSSES = 2_000;

/** Whether an entry logged then counts now: the window is half open, so at its very end it does not. */
export function inWindow(loggedMs: number, nowMs: number, windowMs: number): boolean {
  return loggedMs <= nowMs && nowMs < loggedMs + windowMs;
}

/** What the marks in the window count for at this moment. */
export function usedAt(marks: readonly Mark[], nowMs: number, windowMs: number): number {
  return marks.reduce((sum, mark) => (inWindow(mark.ms, nowMs, windowMs) ? sum + mark.cost : sum), 0);
}

/** Milliseconds until a request of this cost fits if nothing else is admitted: 0 now; `null`: never. */
export function freeInMs(
  marks: readonly Mark[],
  limit: number,
  cost: number,
  nowMs: number,
  windowMs: number,
): number | null {
  if (cost > limit) return null;
  let excess = usedAt(marks, nowMs, windowMs) + cost - limit;
  if (excess <= 0) return 0;
  for (const mark of marks) {
    if (!inWindow(mark.ms, nowMs, windowMs)) continue;
    excess -= mark.cost;
    if (excess <= 0) return mark.ms + windowMs - nowMs;
  }
  return 0;
}

/** The log of one window, put together from what each frame says is new. */
export class WatchedLog {
  window: WindowNow | null = null;
  marks: Mark[] = [];
  crosses: Cross[] = [];
  profile: LogProfile | null = null;
  /** When, by the server's clock, a request of cost 1 next fits, as of the last frame. */
  nextFreeAtMs = 0;

  get windowMs(): number {
    return (this.window?.window_s ?? 0) * 1000;
  }

  take(log: LiveLog, atMs: number): void {
    this.window = log.window;
    this.profile = log.profile;
    this.nextFreeAtMs = log.next_free_s > 0 ? atMs + log.next_free_s * 1000 : 0;
    if (log.fresh) this.marks = [];
    const last = this.marks.at(-1)?.ordinal ?? 0;
    for (const [ms, ordinal, cost] of log.entries as [number, number, number][]) {
      if (ordinal > last) this.marks.push({ ms, ordinal, cost });
    }
    if (log.changed.length > 0) {
      const costs = new Map(log.changed as [number, number][]);
      this.marks = this.marks.map((mark) => ({ ...mark, cost: costs.get(mark.ordinal) ?? mark.cost }));
    }
    this.forget(atMs);
  }

  /** A decision; kept where it is a denial by the watched window. */
  decided(request: LiveRequest): void {
    const { window } = this;
    if (!window || request.denied_by !== window.policy || (request.denied_subject ?? "") !== window.subject) return;
    this.crosses.push({ ms: request.at_ms, id: request.id, band: request.band });
    if (this.crosses.length > MOST_CROSSES) this.crosses.splice(0, this.crosses.length - MOST_CROSSES);
  }

  /** Drops what has drifted out. */
  forget(nowMs: number): void {
    const since = nowMs - this.windowMs * (1 + AFTERWARDS);
    if (this.marks[0] && this.marks[0].ms < since) this.marks = this.marks.filter((mark) => mark.ms >= since);
    if (this.crosses[0] && this.crosses[0].ms < since) this.crosses = this.crosses.filter((cross) => cross.ms >= since);
  }

  clear(): void {
    this.window = null;
    this.marks = [];
    this.crosses = [];
    this.profile = null;
    this.nextFreeAtMs = 0;
  }
}
