/** What happened in each of the last seconds, by band: for the charts. */
import type { LiveCounts } from "@/api/types";

/** Each bucket of waits ends so many times later than the one before; the first ends at 1 ms. */
export const WAIT_STEP = 1.1;

/** How many seconds are kept: the minute that is shown, and one that is not over yet. */
export const KEPT = 61;

export interface BandSecond {
  allowed: number;
  denied: number;
  shadow: number;
  refused: number;
  failed: number;
  finished: number;
  /** How many waited for as long as each bucket says. */
  waits: Map<number, number>;
}

export interface Second {
  /** Seconds since 1970, by the server's clock. */
  second: number;
  bands: Map<string, BandSecond>;
}

const COUNTED = ["allowed", "denied", "shadow", "refused", "failed", "finished"] as const;

function nothing(): BandSecond {
  return { allowed: 0, denied: 0, shadow: 0, refused: 0, failed: 0, finished: 0, waits: new Map() };
}

export class Seconds {
  private kept: Second[] = [];

  add(atMs: number, counts: readonly LiveCounts[]): void {
    const second = this.at(Math.floor(atMs / 1000));
    for (const told of counts) {
      const band = second.bands.get(told.band) ?? nothing();
      second.bands.set(told.band, band);
      for (const name of COUNTED) band[name] += told[name] ?? 0;
      for (const [bucket, times] of Object.entries(told.waits ?? {})) {
        band.waits.set(Number(bucket), (band.waits.get(Number(bucket)) ?? 0) + times);
      }
    }
  }

  /** The `length` whole seconds before now, oldest first; those in which nothing happened included. */
  last(nowMs: number, length = KEPT - 1): Second[] {
    const by = new Map(this.kept.map((each) => [each.second, each]));
    const end = Math.floor(nowMs / 1000);
    return Array.from({ length }, (_, index) => {
      const second = end - length + index;
      return by.get(second) ?? { second, bands: new Map() };
    });
  }

  clear(): void {
    this.kept = [];
  }

  private at(number: number): Second {
    const found = this.kept.find((each) => each.second === number);
    if (found) return found;
    const second = { second: number, bands: new Map<string, BandSecond>() };
    this.kept.push(second);
    this.kept.sort((a, b) => a.second - b.second);
    if (this.kept.length > KEPT) this.kept.splice(0, this.kept.length - KEPT);
    return second;
  }
}

/** A percentile of waits told by bucket, in ms: the end of the bucket it lies in, so at most a tenth too high. */
export function percentileMs(waits: ReadonlyMap<number, number>, share: number): number | null {
  const total = [...waits.values()].reduce((sum, times) => sum + times, 0);
  if (total === 0) return null;
  let left = share * total;
  for (const [bucket, times] of [...waits].sort(([a], [b]) => a - b)) {
    left -= times;
    if (left <= 1e-9) return WAIT_STEP ** bucket;
  }
  return null;
}
