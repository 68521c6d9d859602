import { expect, it } from "vitest";
import { difference } from "./difference";

it.each([
  ["a created entity has everything new", null, { name: "a", limit: 1 }, ["name: - > a", "limit: - > 1"]],
  ["a deleted one has nothing left", { name: "a", weight: 2 }, null, ["name: a > -", "weight: 2 > -"]],
  ["what is the same is left out", { name: "a", limit: 1 }, { name: "a", limit: 2 }, ["limit: 1 > 2"]],
  ["what gets its default has no value", { mode: "shadow" }, {}, ["mode: shadow > -"]],
  [
    "objects are taken apart",
    { match: { tenant: ["acme"] } },
    { match: { tenant: ["acme", "globex"], model: ["sim-small"] } },
    ["match.tenant: acme > acme, globex", "match.model: - > sim-small"],
  ],
  ["null and an empty list are nothing", { block: null, per: [] }, {}, []],
  ["an order is a difference", { models: ["a", "b"] }, { models: ["b", "a"] }, ["models: a, b > b, a"]],
  ["false is a value", { revoked: false }, { revoked: true }, ["revoked: false > true"]],
  ["nothing before and after", null, null, []],
])("%s", (_, before, after, expected) => {
  const found = difference(before, after).map((each) => `${each.field}: ${each.before ?? "-"} > ${each.after ?? "-"}`);
  expect(found).toEqual(expected);
});
