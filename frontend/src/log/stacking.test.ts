import { expect, test } from "vitest";
import type { Mark } from "@/live/log";
import { bySpan, Stacking } from "./stacking";

function marks(...times: number[]): Mark[] {
  return times.map((ms, at) => ({ ms, ordinal: at + 1, cost: 1 }));
}

function levels(stacking: Stacking, of: readonly Mark[]): number[] {
  return of.map((mark) => stacking.of(mark));
}

test("marks that would touch stand on one another; those that would not share a level", () => {
  const stacking = new Stacking();
  const all = marks(0, 0, 5, 10, 12, 40);
  stacking.follow({ marks: all, telling: 1 }, 10);
  expect(levels(stacking, all)).toEqual([0, 1, 2, 0, 1, 0]);
  expect(stacking.highest).toBe(2);
});

test("no two marks of one level overlap, whatever comes", () => {
  const stacking = new Stacking();
  let ms = 0;
  const all = marks(...Array.from({ length: 500 }, (_, at) => (ms += (at * 7_919) % 13)));
  stacking.follow({ marks: all, telling: 1 }, 20);
  for (const [at, mark] of all.entries()) {
    for (const other of all.slice(0, at)) {
      if (mark.ms - other.ms < 20) expect(stacking.of(mark)).not.toBe(stacking.of(other));
    }
  }
});

test("a mark keeps its level when those below it have gone", () => {
  const stacking = new Stacking();
  const all = marks(0, 1, 2);
  stacking.follow({ marks: all, telling: 1 }, 10);
  const [, , top] = all;
  stacking.follow({ marks: all.slice(2), telling: 1 }, 10);
  expect(top && stacking.of(top)).toBe(2);
});

test("new marks are placed beside what stands already, and another log begins anew", () => {
  const stacking = new Stacking();
  const all = marks(0, 1);
  stacking.follow({ marks: all, telling: 1 }, 10);
  all.push({ ms: 2, ordinal: 3, cost: 1 });
  stacking.follow({ marks: all, telling: 1 }, 10);
  expect(levels(stacking, all)).toEqual([0, 1, 2]);
  const other = marks(500, 600, 700, 800);
  stacking.follow({ marks: other, telling: 2 }, 10);
  expect(levels(stacking, other)).toEqual([0, 0, 0, 0]);
  expect(stacking.highest).toBe(0);
});

test("what is long gone is forgotten", () => {
  const stacking = new Stacking();
  let all: Mark[] = [];
  for (let ordinal = 1; ordinal <= 5_000; ordinal += 1) {
    all = [...all.slice(-50), { ms: ordinal, ordinal, cost: 1 }];
    stacking.follow({ marks: all, telling: 1 }, 10);
  }
  expect(stacking.size).toBeLessThan(250);
  expect(stacking.highest).toBe(9);
});

test("things are put together by spans of time that do not move", () => {
  const happened = [1, 9, 10, 11, 35].map((ms) => ({ ms }));
  const found: number[][] = [];
  bySpan(happened, 0, 5, 10, (...span) => found.push(span));
  expect(found).toEqual([
    [5, 0, 2],
    [15, 2, 4],
    [35, 4, 5],
  ]);
  found.length = 0;
  bySpan(happened, 1, 3, 10, (...span) => found.push(span));
  expect(found).toEqual([
    [5, 1, 2],
    [15, 2, 3],
  ]);
});
