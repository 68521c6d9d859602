import { describe, expect, test } from "vitest";
import type { Cross, Mark } from "@/live/log";
import { compare, judge, type Offer, offersOf, worst } from "./fixedWindow";

const WINDOW_MS = 10_000;

function admitted(...times: number[]): Mark[] {
  return times.map((ms, at) => ({ ms, ordinal: at + 1, cost: 1 }));
}

function denied(...times: number[]): Cross[] {
  return times.map((ms) => ({ ms, id: `${ms}`, band: "standard" }));
}

function asked(...times: number[]): Offer[] {
  return times.map((ms) => ({ ms, cost: 1, admitted: true }));
}

function through(offers: Offer[], limit: number): number[] {
  return judge(offers, limit, WINDOW_MS)
    .filter((each) => each.through)
    .map((each) => each.ms);
}

test("what was asked for is what was admitted and what was denied, by time; what was taken back is not in it", () => {
  const marks = [...admitted(100, 300), { ms: 400, ordinal: 3, cost: 0 }];
  expect(offersOf(marks, denied(200, 350, 900)).map((offer) => [offer.ms, offer.admitted])).toEqual([
    [100, true],
    [200, false],
    [300, true],
    [350, false],
    [900, false],
  ]);
});

describe("a fixed window", () => {
  test("lets the limit through in each multiple of the window, from 0 at its very edge", () => {
    expect(through(asked(0, 1, 2, 9_999, 10_000, 10_001, 19_999, 20_000), 2)).toEqual([0, 1, 10_000, 10_001, 20_000]);
  });

  test("counts what a request counts for, and lets a smaller one through behind a larger one that does not fit", () => {
    const offers = [3, 3, 2, 1].map((cost, ms) => ({ ms, cost, admitted: true }));
    expect(through(offers, 5)).toEqual([0, 2]);
  });

  test("lets twice the limit through around an edge; the log never more than the limit", () => {
    const burst = [9_500, 9_600, 9_700, 9_800, 9_900];
    const after = [10_100, 10_200, 10_300, 10_400, 10_500];
    const { fixed, log, counters } = compare(admitted(...burst), denied(...after), 5, WINDOW_MS);
    expect([...counters]).toEqual([
      [0, 5],
      [1, 5],
    ]);
    expect(fixed).toEqual({ cost: 10, fromMs: 9_500, toMs: 10_500 });
    expect(log.cost).toBe(5);
  });

  test("never lets more than twice the limit through in any window, whatever is asked", () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      let [random, ms] = [seed, 0];
      const offers = asked(
        ...Array.from({ length: 300 }, () => {
          random = (random * 16_807) % 2_147_483_647;
          ms += random % 400;
          return ms;
        }),
      );
      const counted = judge(offers, 7, WINDOW_MS).filter((each) => each.through);
      expect(worst(counted, WINDOW_MS).cost).toBeLessThanOrEqual(14);
    }
  });
});

test("the fullest span is half open, as the log's window is", () => {
  expect(worst(asked(0, 10_000), WINDOW_MS).cost).toBe(1);
  expect(worst(asked(0, 9_999), WINDOW_MS)).toEqual({ cost: 2, fromMs: 0, toMs: 9_999 });
  expect(worst([], WINDOW_MS).cost).toBe(0);
});

test("the fullest span is what trying each of them finds", () => {
  let [random, ms] = [99, 0];
  const counted = Array.from({ length: 200 }, () => {
    random = (random * 16_807) % 2_147_483_647;
    ms += random % 900;
    return { ms, cost: random % 5 };
  });
  const tried = counted.map(({ ms: end }) =>
    counted.reduce((sum, each) => (each.ms <= end && each.ms > end - WINDOW_MS ? sum + each.cost : sum), 0),
  );
  expect(worst(counted, WINDOW_MS).cost).toBe(Math.max(...tried));
});
