import { expect, test } from "vitest";
import { limitsOf, retryAfterMs } from "./limits";

const BOTH = {
  "ratelimit-policy": '"everyone";q=3000;w=60, "key-burst";q=10;w=10,"tokens-day";q=50000;w=86400;qu="total-tokens", "user-slots";q=8;qu="concurrent-requests"', // biome-ignore format: a header
  ratelimit: '"everyone";r=2990;t=60,"key-burst";r=0;t=4, "user-slots";r=8;t=0',
};

test("each policy of the reply, with what is left of it", () => {
  expect(limitsOf(BOTH)).toEqual([
    { policy: "everyone", limit: 3000, windowS: 60, remaining: 2990, resetS: 60, unit: "requests" },
    { policy: "key-burst", limit: 10, windowS: 10, remaining: 0, resetS: 4, unit: "requests" },
    { policy: "tokens-day", limit: 50000, windowS: 86400, remaining: null, resetS: null, unit: "total tokens" },
    { policy: "user-slots", limit: 8, windowS: null, remaining: 8, resetS: 0, unit: "concurrent requests" },
  ]);
});

test.each<[string, Record<string, string>]>([
  ["no headers", {}],
  ["an empty one", { "ratelimit-policy": "" }],
  ["one that is something else", { "ratelimit-policy": "100;w=60" }],
  ["a state without its policy", { ratelimit: '"everyone";r=1;t=1' }],
])("of %s there is nothing to say", (_, headers) => {
  expect(limitsOf(headers)).toEqual([]);
});

test("a name may hold what else separates", () => {
  expect(limitsOf({ "ratelimit-policy": '"acme;burst, all";q=5;w=1' })).toMatchObject([
    { policy: "acme;burst, all", limit: 5, windowS: 1 },
  ]);
});

test.each<[string, Record<string, string>, number | null]>([
  ["the exact one wins", { "retry-after": "4", "retry-after-ms": "3120" }, 3_120],
  ["whole seconds where that is all", { "retry-after": "4" }, 4_000],
  ["nothing", {}, null],
  ["a date, which this server never sends", { "retry-after": "Wed, 01 Jan 2031" }, null],
])("when to try again: %s", (_, headers, expected) => {
  expect(retryAfterMs(headers)).toBe(expected);
});
