/** Marks of nearly the same time stand on one another. A mark's height never changes while it drifts. */
import type { Mark } from "@/live/log";

/**
 * The lowest place at which each mark touches none before it. Only earlier marks decide, and what was once decided
 * stays: otherwise marks would fall down whenever one below them has left.
 */
export class Stacking {
  private levels = new Map<number, number>();
  private lastMs: number[] = [];
  private newest = 0;
  private apartMs = 0;
  private telling = -1;
  /** The highest level in use. */
  highest = 0;

  /** Takes in new marks and forgets those that are gone. `apartMs`: how long a mark is wide. */
  follow({ marks, telling }: { marks: readonly Mark[]; telling: number }, apartMs: number): void {
    const last = marks.at(-1);
    if (apartMs !== this.apartMs || telling !== this.telling) this.begin(apartMs);
    this.telling = telling;
    if (!last || last.ordinal === this.newest) return;
    let at = marks.length;
    while (at > 0 && (marks[at - 1]?.ordinal ?? 0) > this.newest) at -= 1;
    for (; at < marks.length; at += 1) {
      const mark = marks[at];
      if (mark) this.levels.set(mark.ordinal, this.place(mark.ms));
    }
    this.newest = last.ordinal;
    if (this.levels.size > 2 * marks.length + 64) this.shrink(marks);
  }

  /** How many marks it remembers. */
  get size(): number {
    return this.levels.size;
  }

  of(mark: Mark): number {
    return this.levels.get(mark.ordinal) ?? 0;
  }

  private begin(apartMs: number): void {
    this.levels.clear();
    this.lastMs = [];
    this.newest = 0;
    this.highest = 0;
    this.apartMs = apartMs;
  }

  private place(ms: number): number {
    let level = 0;
    while (ms - (this.lastMs[level] ?? Number.NEGATIVE_INFINITY) < this.apartMs) level += 1;
    this.lastMs[level] = ms;
    this.highest = Math.max(this.highest, level);
    return level;
  }

  private shrink(marks: readonly Mark[]): void {
    const oldest = marks[0]?.ordinal ?? 0;
    this.highest = 0;
    for (const [ordinal, level] of this.levels) {
      if (ordinal < oldest) this.levels.delete(ordinal);
      else this.highest = Math.max(this.highest, level);
    }
  }
}

/** Things that happened, put together by equal spans of time: `each(middle of the span in ms, from, to)`. */
export function bySpan(
  happened: readonly { ms: number }[],
  from: number,
  to: number,
  spanMs: number,
  each: (middleMs: number, from: number, to: number) => void,
): void {
  let at = from;
  while (at < to) {
    const span = Math.floor((happened[at]?.ms ?? 0) / spanMs);
    let end = at + 1;
    while (end < to && Math.floor((happened[end]?.ms ?? 0) / spanMs) === span) end += 1;
    each((span + 0.5) * spanMs, at, end);
    at = end;
  }
}
