/**
 * What a fixed window would have done with the same requests: a counter that begins again from 0 at each multiple of
 * the window. A simulation: no such counter runs anywhere here. It lets up to twice the limit through around an edge.
 */
import type { Cross, Mark } from "@/live/log";

export interface Offer {
  ms: number;
  cost: number;
  /** Whether the log admitted it. */
  admitted: boolean;
}

export interface Judged extends Offer {
  /** Whether the fixed window lets it through. */
  through: boolean;
}

export interface Worst {
  /** The most that was let through in any span as long as the window. */
  cost: number;
  fromMs: number;
  toMs: number;
}

/** Everything that was asked for, in the order of time. What was taken back never counted. */
export function offersOf(marks: readonly Mark[], crosses: readonly Cross[]): Offer[] {
  const offers: Offer[] = [];
  let cross = 0;
  for (const mark of marks) {
    for (; cross < crosses.length && (crosses[cross]?.ms ?? 0) < mark.ms; cross += 1) {
      offers.push({ ms: crosses[cross]?.ms ?? 0, cost: 1, admitted: false });
    }
    if (mark.cost > 0) offers.push({ ms: mark.ms, cost: mark.cost, admitted: true });
  }
  for (; cross < crosses.length; cross += 1) offers.push({ ms: crosses[cross]?.ms ?? 0, cost: 1, admitted: false });
  return offers;
}

export function judge(offers: readonly Offer[], limit: number, windowMs: number): Judged[] {
  let begun = Number.NaN;
  let counter = 0;
  return offers.map((offer) => {
    const begin = Math.floor(offer.ms / windowMs);
    if (begin !== begun) [begun, counter] = [begin, 0];
    const through = counter + offer.cost <= limit;
    if (through) counter += offer.cost;
    return { ...offer, through };
  });
}

/** The fullest span of the window's length, half open as the log's window is; of equals the latest. */
export function worst(counted: readonly { ms: number; cost: number }[], windowMs: number): Worst {
  let [cost, from] = [0, 0];
  let found: Worst = { cost: 0, fromMs: 0, toMs: 0 };
  for (const { ms, cost: more } of counted) {
    cost += more;
    while ((counted[from]?.ms ?? ms) <= ms - windowMs) {
      cost -= counted[from]?.cost ?? 0;
      from += 1;
    }
    if (cost > 0 && cost >= found.cost) found = { cost, fromMs: counted[from]?.ms ?? ms, toMs: ms };
  }
  return found;
}

export interface Comparison {
  judged: Judged[];
  /** What the fixed window's counter came to in each multiple of the window, by its number. */
  counters: Map<number, number>;
  /** The fullest span under the fixed window, and under the log. */
  fixed: Worst;
  log: Worst;
}

export function compare(
  marks: readonly Mark[],
  crosses: readonly Cross[],
  limit: number,
  windowMs: number,
): Comparison {
  const judged = judge(offersOf(marks, crosses), limit, windowMs);
  const counters = new Map<number, number>();
  for (const { ms, cost, through } of judged) {
    const number = Math.floor(ms / windowMs);
    if (through) counters.set(number, (counters.get(number) ?? 0) + cost);
  }
  return {
    judged,
    counters,
    fixed: worst(
      judged.filter((each) => each.through),
      windowMs,
    ),
    log: worst(marks, windowMs),
  };
}
