import { expect, test } from "vitest";
import type { LiveEnding } from "@/api/types";
import type { SeenRequest } from "@/live/model";
import type { Outcome } from "@/traffic/sent";
import { aDenial, aRequest } from "../../test/live";
import { aDenied, aSent } from "../../test/sent";
import { MOST_ROWS, outcomeOf, rowOf, rowsOf } from "./rows";

function ending(of: Partial<LiveEnding> = {}): LiveEnding {
  return {
    ...{ id: "r", at_ms: 1_000_100, status: 200, code: null, wait_ms: 0, ttft_ms: 40, total_ms: 90 },
    ...{ input_tokens: 9, output_tokens: 4 },
    ...of,
  } as LiveEnding;
}

function seen(of: Partial<SeenRequest> = {}): SeenRequest {
  return { ...aRequest(), ending: null, ...of };
}

test.each<[string, Partial<SeenRequest>, Outcome]>([
  ["denied", aDenial(), "denied"],
  ["admitted and not over", {}, "waiting"],
  ["over and well", { ending: ending() }, "allowed"],
  ["not taken by a full queue", { ending: ending({ status: 429, code: "queue_full" }) }, "refused"],
  ["given up by the queue", { ending: ending({ status: 429, code: "queue_timeout" }) }, "refused"],
  ["left by its client", { ending: ending({ status: 499 }) }, "stopped"],
  ["failed by its model", { ending: ending({ status: 500, code: "model_failed" }) }, "failed"],
])("one that the feed tells was %s", (_, of, outcome) => {
  expect(outcomeOf(seen(of))).toBe(outcome);
});

test("what nobody knows is no row", () => {
  expect(rowOf(null, null)).toBeNull();
});

test("of one's own request the page's times win; the wait for a slot is known to the server alone", () => {
  const own = aSent({ id: "r", outcome: "allowed", status: 200, atMs: 1_000_005, firstMs: 61, totalMs: 120 });
  const told = seen({ id: "r", at_ms: 1_000_000, shadow: ["strict"], ending: ending({ wait_ms: 12 }) });
  expect(rowOf(own, told)).toMatchObject({
    ...{ atMs: 1_000_000, who: "stan of globex", outcome: "allowed", status: 200, shadow: ["strict"] },
    ...{ waitMs: 12, firstMs: 61, totalMs: 120 },
  });
});

test("somebody else's is told by the feed alone", () => {
  const told = seen({ user: "paula", tenant: "acme", band: "premium", ending: ending() });
  expect(rowOf(null, told)).toMatchObject({
    ...{ who: "paula of acme", band: "premium", outcome: "allowed", status: 200, firstMs: 40, totalMs: 90, sent: null },
  });
});

test("one's own is there before the feed tells of it", () => {
  expect(rowOf(aDenied({ id: "r" }), null)).toMatchObject({ outcome: "denied", status: 429, policy: "key-burst", waitMs: null }); // biome-ignore format: a value
});

test.each<[string, ReturnType<typeof rowOf>, string]>([
  ["a policy", rowOf(null, { ...aDenial(), ending: null }), "key-burst"],
  ["a policy, by the reply", rowOf(aDenied(), null), "key-burst"],
  ["the queue", rowOf(null, seen({ ending: ending({ status: 429, code: "queue_full" }) })), "queue_full"],
  ["nobody", rowOf(null, seen({ ending: ending({ status: 500, code: "model_failed" }) })), ""],
])("it names who said no: %s", (_, row, policy) => {
  expect(row?.policy).toBe(policy);
});

test("a denial of somebody else's has its status, though it has no ending", () => {
  expect(rowOf(null, { ...aDenial(), ending: null })?.status).toBe(429);
});

const SENT = [aSent({ id: "c" }), aDenied({ id: "b" }), aSent({ id: "a", outcome: "allowed", status: 200 })];
const SEEN = [seen({ id: "z", ending: ending() }), { ...aDenial({ id: "b" }), ending: null }, seen({ id: "a" })];

test.each([
  ["own", "all", ["c", "b", "a"]],
  ["own", "denied", ["b"]],
  ["own", "failed", []],
  ["everybody", "all", ["z", "b", "a"]],
  ["everybody", "allowed", ["z", "a"]],
] as const)("%s, %s: %j", (whose, filter, ids) => {
  expect(rowsOf(whose, SENT, SEEN, filter).map(({ id }) => id)).toEqual(ids);
});

test("both sides of one request are one row", () => {
  const [, row] = rowsOf("everybody", SENT, SEEN, "all");
  expect(row?.sent?.id).toBe("b");
  expect(row?.seen?.id).toBe("b");
});

test("there are never more than two hundred", () => {
  const many = Array.from({ length: 500 }, () => aSent());
  expect(rowsOf("own", many, [], "all")).toHaveLength(MOST_ROWS);
});
