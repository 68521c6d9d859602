import { expect, test } from "vitest";
import type { LiveCounts } from "@/api/types";
import { KEPT, percentileMs, Seconds, WAIT_STEP } from "./seconds";

function told(of: Partial<LiveCounts>): LiveCounts {
  return { band: "premium", allowed: 0, denied: 0, shadow: 0, refused: 0, failed: 0, finished: 0, waits: {}, ...of };
}

test("what is told in one second adds up, by band", () => {
  const seconds = new Seconds();
  seconds.add(5_000, [told({ allowed: 2, waits: { 3: 1 } }), told({ band: "batch", denied: 4 })]);
  seconds.add(5_900, [told({ allowed: 1, waits: { 3: 2, 7: 1 } })]);
  const second = seconds.last(6_000, 1)[0];
  expect(second?.second).toBe(5);
  expect(second?.bands.get("premium")).toMatchObject({ allowed: 3, waits: new Map([[3, 3], [7, 1]]) }); // biome-ignore format: a map
  expect(second?.bands.get("batch")?.denied).toBe(4);
});

test("the second that is not over is left out, and one in which nothing happened is not", () => {
  const seconds = new Seconds();
  seconds.add(5_100, [told({ allowed: 1 })]);
  seconds.add(7_100, [told({ allowed: 9 })]);
  expect(seconds.last(7_999, 3).map((each) => [each.second, each.bands.size])).toEqual([
    [4, 0],
    [5, 1],
    [6, 0],
  ]);
});

test("a minute and a second are kept, though frames come out of order", () => {
  const seconds = new Seconds();
  for (let second = 200; second > 0; second -= 1) seconds.add(second * 1000, [told({ allowed: second })]);
  expect(seconds.last(201_000, 200).filter((each) => each.bands.size > 0)).toHaveLength(KEPT);
});

test("percentiles are the ends of their buckets", () => {
  const waits = new Map([[20, 1], [0, 98], [10, 1]]); // biome-ignore format: a map
  expect(percentileMs(waits, 0.5)).toBe(1);
  expect(percentileMs(waits, 0.98)).toBe(1);
  expect(percentileMs(waits, 0.99)).toBeCloseTo(WAIT_STEP ** 10);
  expect(percentileMs(waits, 1)).toBeCloseTo(WAIT_STEP ** 20);
  expect(percentileMs(new Map(), 0.5)).toBeNull();
});

test("percentiles of buckets are at most a tenth above those of the waits themselves", () => {
  const times = Array.from({ length: 500 }, (_, at) => 1 + ((at * 7_919) % 4_001));
  const waits = new Map<number, number>();
  for (const time of times) {
    const bucket = Math.ceil(Math.log(time) / Math.log(WAIT_STEP) - 1e-9);
    waits.set(bucket, (waits.get(bucket) ?? 0) + 1);
  }
  const sorted = times.toSorted((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
    const exact = sorted[Math.ceil(share * times.length) - 1] ?? 0;
    const found = percentileMs(waits, share) ?? 0;
    expect(found).toBeGreaterThanOrEqual(exact * 0.999);
    expect(found).toBeLessThanOrEqual(exact * WAIT_STEP * 1.001);
  }
});
