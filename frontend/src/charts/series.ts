/** What the charts draw: columns of numbers by second, worked out from what the model keeps of each second. */
import { milliseconds } from "@/lib/format";
import { percentileMs, type Second } from "@/live/seconds";

/** A line of a chart; `null` where there is nothing to tell. */
export type Line = (number | null)[];

export interface Rates {
  allowed: number[];
  denied: number[];
  refused: number[];
}

/** Decisions of each second, over all bands. */
export function rates(seconds: readonly Second[]): Rates {
  const sum = (name: "allowed" | "denied" | "refused") =>
    seconds.map((second) => {
      let all = 0;
      for (const band of second.bands.values()) all += band[name];
      return all;
    });
  return { allowed: sum("allowed"), denied: sum("denied"), refused: sum("refused") };
}

/** A percentile of the waits for a slot in each second, in ms, of one band. */
export function waits(seconds: readonly Second[], band: string, share: number): Line {
  return seconds.map((second) => {
    const found = second.bands.get(band);
    return found ? percentileMs(found.waits, share) : null;
  });
}

/** Ages of the seconds: -60 … -1, the last that is whole. */
export function ages(length: number): number[] {
  return Array.from({ length }, (_, at) => at - length);
}

/** The newest that is known. */
export function newest(line: Line): number | null {
  for (let at = line.length - 1; at >= 0; at -= 1) {
    const value = line[at];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Waits of the first bucket are not told apart. */
export function waited(ms: number): string {
  return ms <= 1 ? "≤ 1 ms" : milliseconds(ms);
}
