import { expect, test } from "vitest";
import { assignSlots } from "./slots";

const bands = (internal: number, batch: number) => [
  { name: "internal", running: internal },
  { name: "batch", running: batch },
];

test("slots are filled from the first on, the highest band first", () => {
  expect(assignSlots([], bands(1, 2), 4)).toEqual(["internal", "batch", "batch", null]);
});

test("a request keeps its slot while others come and go", () => {
  const before = ["internal", "batch", "batch", null];
  expect(assignSlots(before, bands(0, 2), 4)).toEqual([null, "batch", "batch", null]);
  expect(assignSlots(before, bands(2, 1), 4)).toEqual(["internal", "batch", "internal", null]);
});

test("never more than there are slots, and slots that were taken away are gone", () => {
  expect(assignSlots([], bands(3, 9), 4)).toEqual(["internal", "internal", "internal", "batch"]);
  expect(assignSlots(["batch", "batch", "batch", "batch"], bands(1, 4), 2)).toEqual(["batch", "batch"]);
  expect(assignSlots(["batch"], bands(0, 1), 0)).toEqual([]);
});
