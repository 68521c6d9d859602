import { expect, test } from "vitest";
import { goneBy, scaleOf, stillMs, ticks, xOf } from "./scale";

const NOW = 100_000;
const scale = scaleOf(1_014, NOW, 10_000);

test("now is fixed at the right, and the window and what has left it share the rest", () => {
  expect(xOf(scale, NOW)).toBe(1_000);
  expect(xOf(scale, NOW - 10_000)).toBe(200);
  expect(xOf(scale, NOW - 12_500)).toBe(0);
});

test("a mark drifts to the left as time goes on", () => {
  const later = scaleOf(1_014, NOW + 1_000, 10_000);
  expect(xOf(later, NOW)).toBe(xOf(scale, NOW - 1_000));
});

test("a mark begins to fade at its window's edge, exactly, and is gone a quarter of the window later", () => {
  expect(goneBy(scale, NOW - 9_999)).toBe(0);
  expect(goneBy(scale, NOW - 10_000)).toBe(0);
  expect(goneBy(scale, NOW - 11_250)).toBe(0.5);
  expect(goneBy(scale, NOW - 12_500)).toBe(1);
  expect(goneBy(scale, NOW - 90_000)).toBe(1);
});

test.each([
  [10, 6, [0, 2, 4, 6, 8, 10]],
  [10, 3, [0, 5, 10]],
  [60, 6, [0, 10, 20, 30, 40, 50, 60]],
  [0.5, 5, [0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5]],
  [3_600, 4, [0, 900, 1_800, 2_700, 3_600]],
  [86_400 * 31, 3, [0, 86_400 * 31]],
])("the axis of %d s names no more than %d spans", (windowS, most, ages) => {
  expect(ticks(windowS, most)).toEqual(ages);
});

test("the picture is another after half a pixel, so a long window need not be drawn all the time", () => {
  expect(stillMs(scale)).toBeCloseTo(6.25);
  expect(stillMs(scaleOf(1_014, NOW, 3_600_000))).toBeCloseTo(2_250);
});
