import { expect, it } from "vitest";
import { between, isoToLocal, localToIso, moment } from "./when";

it("tells the day once where both ends are on it", () => {
  const [begin, later, nextDay] = ["2026-01-10T12:00:00Z", "2026-01-10T12:00:09Z", "2026-01-12T12:00:00Z"];
  expect(between(begin, later)).toBe(`from ${moment(begin)} to ${moment(later).split(", ")[1]}`);
  expect(between(begin, nextDay)).toBe(`from ${moment(begin)} to ${moment(nextDay)}`);
});

it("reads and writes local times without losing the moment", () => {
  const iso = "2027-03-04T05:06:00.000Z";
  expect(localToIso(isoToLocal(iso))).toBe(iso);
});

it.each(["", "nonsense"])("takes %j for no time", (text) => {
  expect(localToIso(text)).toBeNull();
  expect(isoToLocal(null)).toBe("");
});
