import { expect, test } from "vitest";
import { Ring } from "./ring";

test("keeps the newest so many, the oldest first", () => {
  const ring = new Ring<number>(3);
  expect(ring.toArray()).toEqual([]);
  const seen = [1, 2, 3, 4, 5, 6, 7].map((item) => {
    ring.push(item);
    return ring.toArray();
  });
  expect(seen).toEqual([[1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6], [5, 6, 7]]);
  expect(ring.length).toBe(3);
});

test("cleared, it begins anew", () => {
  const ring = new Ring<string>(2);
  for (const item of "abc") ring.push(item);
  ring.clear();
  ring.push("d");
  expect(ring.toArray()).toEqual(["d"]);
});
