import { expect, test } from "vitest";
import { newestRows } from "./rows";

const marks = [100, 200, 300].map((ms, at) => ({ ms, ordinal: at + 1, cost: 1 }));
const crosses = [150, 160, 170, 300, 350].map((ms) => ({ ms, id: `${ms}`, band: "batch" }));

test("newest first; denials with no entry between them are one row", () => {
  expect(newestRows(marks, crosses, 9)).toEqual([
    { is: "denied", ms: 350, sinceMs: 300, times: 2 },
    { is: "entry", ms: 300, ordinal: 3, cost: 1 },
    { is: "entry", ms: 200, ordinal: 2, cost: 1 },
    { is: "denied", ms: 170, sinceMs: 150, times: 3 },
    { is: "entry", ms: 100, ordinal: 1, cost: 1 },
  ]);
});

test("so many rows at most, each of them whole", () => {
  expect(newestRows(marks, crosses, 1)).toEqual([{ is: "denied", ms: 350, sinceMs: 300, times: 2 }]);
  expect(newestRows(marks, crosses, 4).at(-1)).toEqual({ is: "denied", ms: 170, sinceMs: 150, times: 3 });
  expect(newestRows([], [], 4)).toEqual([]);
  expect(newestRows(marks, [], 2).map((row) => row.ms)).toEqual([300, 200]);
});
