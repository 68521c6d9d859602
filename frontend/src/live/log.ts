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

/** How long after leaving its window a mark is still seen, as a share of the window: it drifts out. */
export const AFTERWARDS = 0.25;

/** For how many windows back marks and crosses are kept: what a fixed window would have done needs some history. */
export const KEPT_WINDOWS = 3;

const MOST_MARKS = 8_000;
const MOST_CROSSES = 2_000;

/** Whether an entry logged then counts now: the window is half open, so at its very end it does not. */
export function inWindow(loggedMs: number, nowMs: number, windowMs: number): boolean {
  return loggedMs <= nowMs && nowMs < loggedMs + windowMs;
}

/** The place of the first that happened after this moment. They must be in the order of time. */
export function firstAfter(happened: readonly { ms: number }[], afterMs: number): number {
  let low = 0;
  let high = happened.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((happened[middle]?.ms ?? 0) > afterMs) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What the marks in the window count for at this moment. */
export function usedAt(marks: readonly Mark[], nowMs: number, windowMs: number): number {
  let used = 0;
  for (let at = firstAfter(marks, nowMs - windowMs); at < marks.length; at += 1) {
    const mark = marks[at];
    if (mark && inWindow(mark.ms, nowMs, windowMs)) used += mark.cost;
  }
  return used;
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
  for (let at = firstAfter(marks, nowMs - windowMs); at < marks.length; at += 1) {
    const mark = marks[at];
    if (!mark || !inWindow(mark.ms, nowMs, windowMs)) continue;
    excess -= mark.cost;
    if (excess <= 0) return mark.ms + windowMs - nowMs;
  }
  return 0;
}

/** The log of one window, put together from what each frame says is new. */
export class WatchedLog {
  window: WindowNow | null = null;
  /** In the order of time, the oldest first; those that have left their window are kept for a while. */
  marks: Mark[] = [];
  crosses: Cross[] = [];
  profile: LogProfile | null = null;
  /** When, by the server's clock, a request of cost 1 next fits, as of the last frame. */
  nextFreeAtMs = 0;
  /** Another number after every change: for those who keep what they worked out from the marks. */
  version = 0;

  /** Another number when the marks are others altogether, not only more of them or fewer. */
  telling = 0;

  get windowMs(): number {
    return (this.window?.window_s ?? 0) * 1000;
  }

  /** A log of leases has no entries: what is held counts until it is given back. */
  get held(): boolean {
    return this.window?.unit === "concurrent_requests";
  }

  /** What counts at this moment. Between frames marks leave the window by themselves. */
  usedAt(nowMs: number): number {
    if (!this.window) return 0;
    return this.profile || this.held ? this.window.used : usedAt(this.marks, nowMs, this.windowMs);
  }

  /** Until a request of cost 1 fits: 0 now, `null` never. The marks tell, and the last frame where it says later. */
  roomInMs(nowMs: number): number | null {
    if (!this.window) return null;
    const told = Math.max(0, this.nextFreeAtMs - nowMs);
    if (this.profile || this.held) return this.window.limit < 1 ? null : told;
    const known = freeInMs(this.marks, this.window.limit, 1, nowMs, this.windowMs);
    return known === null ? null : Math.max(known, told);
  }

  /** Begins anew with this window. */
  watch(window: WindowNow | null): void {
    this.clear();
    this.window = window;
  }

  take(log: LiveLog, atMs: number): void {
    this.version += 1;
    this.window = log.window;
    this.profile = log.profile;
    this.nextFreeAtMs = log.next_free_s > 0 ? atMs + log.next_free_s * 1000 : 0;
    if (log.fresh) {
      this.telling += 1;
      this.marks = [];
    }
    const last = this.marks.at(-1)?.ordinal ?? 0;
    for (const [ms, ordinal, cost] of log.entries as [number, number, number][]) {
      if (ordinal > last) this.marks.push({ ms, ordinal, cost });
    }
    for (const [ordinal, cost] of log.changed as [number, number][]) {
      const mark = this.find(ordinal);
      if (mark) mark.cost = cost;
    }
  }

  /** A decision; kept where it is a denial by the watched window. */
  decided(request: LiveRequest): void {
    const { window } = this;
    if (!window || request.denied_by !== window.policy || (request.denied_subject ?? "") !== window.subject) return;
    this.version += 1;
    let at = this.crosses.length; // replicas tell of their own decisions: they arrive nearly in order
    while (at > 0 && (this.crosses[at - 1]?.ms ?? 0) > request.at_ms) at -= 1;
    this.crosses.splice(at, 0, { ms: request.at_ms, id: request.id, band: request.band });
  }

  /** Drops what is too old, and the oldest of what is too much. */
  forget(nowMs: number): void {
    const since = nowMs - this.windowMs * KEPT_WINDOWS;
    this.marks.splice(0, Math.max(firstAfter(this.marks, since), this.marks.length - MOST_MARKS));
    this.crosses.splice(0, Math.max(firstAfter(this.crosses, since), this.crosses.length - MOST_CROSSES));
  }

  clear(): void {
    this.version += 1;
    this.telling += 1;
    this.window = null;
    this.marks = [];
    this.crosses = [];
    this.profile = null;
    this.nextFreeAtMs = 0;
  }

  private find(ordinal: number): Mark | undefined {
    let low = 0;
    let high = this.marks.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const mark = this.marks[middle];
      if (!mark || mark.ordinal === ordinal) return mark;
      if (mark.ordinal < ordinal) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}
