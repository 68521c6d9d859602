import { describe, expect, it } from "vitest";
import type { Match, Policy } from "../types";
import { namesSubject, overrideOf, plain, replacedBy } from "./override";

function match(given: Partial<Match> = {}): Match {
  return { tenant: null, user: null, api_key: null, model: null, model_tier: null, qos_tier: null, ...given };
}

function policy(changes: Partial<Policy> = {}): Policy {
  return {
    name: "standard-rate",
    scope: "TENANT",
    unit: "requests",
    limit: 60,
    window: "1m",
    match: match(),
    per: [],
    mode: "enforce",
    on_redis_failure: "deny",
    block: null,
    shards: 1,
    ...changes,
  };
}

it.each<[string, Partial<Policy>, boolean]>([
  ["one for all", {}, false],
  ["its own dimension", { match: match({ tenant: ["acme"] }) }, true],
  ["another dimension", { match: match({ qos_tier: "premium" }) }, false],
  ["a model of USER_MODEL", { scope: "USER_MODEL", match: match({ model: "sim-large" }) }, true],
  ["GLOBAL has no subject", { scope: "GLOBAL", match: match({ tenant: "acme" }) }, false],
])("knows whether a policy names its subject: %s", (_, changes, expected) => {
  expect(namesSubject(policy(changes))).toBe(expected);
});

describe("overrideOf", () => {
  it("names the subject and keeps the other conditions", () => {
    const made = overrideOf(policy({ match: match({ qos_tier: ["standard"] }) }), "globex");
    expect(made).toMatchObject({ name: "standard-rate-globex", limit: 60, window: "1m", scope: "TENANT" });
    expect(made.match).toEqual(match({ tenant: ["globex"], qos_tier: ["standard"] }));
  });

  it("names both parts of a pair", () => {
    const made = overrideOf(policy({ name: "slots", scope: "USER_MODEL" }), "stan|sim-large");
    expect(made.name).toBe("slots-stan-sim-large");
    expect(made.match).toEqual(match({ user: ["stan"], model: ["sim-large"] }));
  });

  it("leaves name and subject open where none is chosen", () => {
    expect(overrideOf(policy(), "")).toMatchObject({ name: "", match: match() });
  });

  it("holds no field that the server only tells", () => {
    const told = { ...policy(), source: "config", version: 0, problem: null };
    expect(Object.keys(overrideOf(told, "acme"))).toEqual(Object.keys(plain(policy())));
  });
});

describe("replacedBy", () => {
  const proposed = policy({ name: "mine", match: match({ tenant: ["globex"] }) });

  it.each<[string, Policy, boolean]>([
    ["of the same scope and unit, for all", policy(), true],
    ["of another band, whose tenants it cannot rule out", policy({ match: match({ qos_tier: "batch" }) }), true],
    ["of another unit", policy({ unit: "total_tokens" }), false],
    ["of another scope", policy({ scope: "API_KEY" }), false],
    ["that names its subject too", policy({ match: match({ tenant: ["globex"] }) }), false],
    ["itself", policy({ name: "mine" }), false],
  ])("%s", (_, each, expected) => {
    expect(replacedBy(proposed, [each]).length === 1).toBe(expected);
  });

  it("leaves alone what no same request meets", () => {
    const ofBand = { ...proposed, match: match({ tenant: ["globex"], qos_tier: ["standard"] }) };
    expect(replacedBy(ofBand, [policy({ match: match({ qos_tier: "batch" }) })])).toEqual([]);
  });

  it("is none where the proposed one names no subject", () => {
    expect(replacedBy(policy({ name: "other" }), [policy()])).toEqual([]);
  });
});
