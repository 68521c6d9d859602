import { expect, test } from "vitest";
import { Seconds } from "@/live/seconds";
import { ages, newest, rates, waits } from "./series";

function told(band: string, of: object) {
  return { band, allowed: 0, denied: 0, shadow: 0, refused: 0, failed: 0, finished: 0, waits: {}, ...of };
}

const seconds = new Seconds();
seconds.add(10_200, [told("premium", { allowed: 3, waits: { 0: 3 } }), told("batch", { allowed: 1, denied: 2 })]);
seconds.add(12_000, [told("batch", { denied: 5, refused: 1, waits: { 0: 1, 48: 99 } })]);
const last = seconds.last(13_500, 4);

test("decisions of a second over all bands, and 0 where nothing was asked", () => {
  expect(rates(last)).toEqual({ allowed: [0, 4, 0, 0], denied: [0, 2, 0, 5], refused: [0, 0, 0, 1] });
});

test("waits of one band, and nothing where nobody waited", () => {
  expect(waits(last, "premium", 0.99)).toEqual([null, 1, null, null]);
  expect(waits(last, "batch", 0.01)).toEqual([null, null, null, 1]);
  expect(waits(last, "batch", 0.5).at(-1)).toBeCloseTo(1.1 ** 48);
  expect(waits(last, "internal", 0.5)).toEqual([null, null, null, null]);
});

test("the axis ends with the last whole second, and a legend tells the newest that is known", () => {
  expect(ages(4)).toEqual([-4, -3, -2, -1]);
  expect(newest([1, null, 3, null])).toBe(3);
  expect(newest([0, null])).toBe(0);
  expect(newest([null, null])).toBeNull();
});
