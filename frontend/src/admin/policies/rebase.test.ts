import { expect, it } from "vitest";
import { NEW_POLICY } from "./draft";
import { rebase } from "./rebase";

const BEFORE = { ...NEW_POLICY, limit: "10", window: "10s" };

it("keeps what was changed here and takes what others changed", () => {
  const mine = { ...BEFORE, limit: "20" };
  const now = { ...BEFORE, limit: "15", window: "1m", mode: "shadow" as const };
  expect(rebase(mine, BEFORE, now)).toEqual({ ...BEFORE, limit: "20", window: "1m", mode: "shadow" });
});

it("compares conditions by what they say", () => {
  const mine = { ...BEFORE, match: { ...BEFORE.match } };
  const now = { ...BEFORE, match: { ...BEFORE.match, tenant: "acme" } };
  expect(rebase(mine, BEFORE, now)).toEqual(now);
});
