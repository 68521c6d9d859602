import { expect, it } from "vitest";
import type { Match, Policy } from "../types";
import { keptFor, limitWords, sentence, subjectParts, subjectWords } from "./words";

export const NO_MATCH: Match = {
  tenant: null,
  user: null,
  api_key: null,
  model: null,
  model_tier: null,
  qos_tier: null,
};

const BASE: Policy = {
  name: "a",
  scope: "TENANT",
  unit: "requests",
  limit: 60,
  window: "1m",
  match: NO_MATCH,
  per: [],
  mode: "enforce",
  on_redis_failure: "deny",
  block: null,
  shards: 1,
};

it.each<[string, Partial<Policy>]>([
  ["Each tenant: at most 60 requests in any 1 min.", {}],
  ["Everybody together: at most 3,000 requests in any 1 min.", { scope: "GLOBAL", limit: 3000 }],
  [
    "Each tenant: at most 60 requests in any 1 min, where the band is standard or batch.",
    { match: { ...NO_MATCH, qos_tier: ["standard", "batch"] } },
  ],
  ["Tenant acme: at most 60 requests in any 1 min.", { match: { ...NO_MATCH, tenant: ["acme"] } }],
  [
    "Each tenant: at most 60 requests in any 1 min, where the tenant is acme, b or globex.",
    { match: { ...NO_MATCH, tenant: ["acme", "b", "globex"] } },
  ],
  [
    "Tier large and tenant: at most 40 requests in any 1 min.",
    { scope: "MODEL_TIER", per: ["tenant"], limit: 40, match: { ...NO_MATCH, model_tier: "large" } },
  ],
  [
    "Each user and model: at most 8 requests at a time.",
    { scope: "USER_MODEL", unit: "concurrent_requests", limit: 8, window: "30s" },
  ],
  ["Each API key: at most 1 request in any 500 ms.", { scope: "API_KEY", limit: 1, window: "500ms" }],
])("says %s", (expected, changes) => {
  expect(sentence({ ...BASE, ...changes })).toBe(expected);
});

it("says what a window is kept for, and how much it holds", () => {
  expect(keptFor({ ...BASE, per: ["model"] })).toBe("each tenant and model");
  expect(limitWords({ ...BASE, unit: "total_tokens", limit: 1000 })).toBe("1,000 tokens in any 1 min");
});

it.each([
  ["GLOBAL", "", [], "everybody"],
  ["TENANT", "globex", [["tenant", "globex"]], "globex"],
  [
    "USER_MODEL",
    "stan|acme/large-7b",
    [
      ["user", "stan"],
      ["model", "acme/large-7b"],
    ],
    "user stan, model acme/large-7b",
  ],
  [
    "MODEL_TIER",
    "large|tenant=globex",
    [
      ["model_tier", "large"],
      ["tenant", "globex"],
    ],
    "tier large, tenant globex",
  ],
  ["GLOBAL", "qos_tier=batch", [["qos_tier", "batch"]], "batch"],
] as const)("takes the subject of a %s window apart: %j", (scope, subject, parts, words) => {
  expect(subjectParts(scope, subject)).toEqual(parts);
  expect(subjectWords(scope, subject)).toBe(words);
});
