import { expect, it } from "vitest";
import { type Draft, draftOf, listOf, NEW_POLICY, readDraft } from "./draft";

const DRAFT: Draft = { ...NEW_POLICY, name: " acme-burst ", limit: "1,000", window: "1 m" };

it("reads a form as the policy it stands for", () => {
  const match = { ...NEW_POLICY.match, tenant: "acme,  globex", qos_tier: "premium" };
  const { policy, problems } = readDraft({ ...DRAFT, match, blocks: true, denials: "5" });
  expect(problems).toEqual({});
  expect(policy).toEqual({
    name: "acme-burst",
    scope: "TENANT",
    unit: "requests",
    limit: 1000,
    window: "1m",
    mode: "enforce",
    on_redis_failure: "deny",
    per: [],
    match: {
      tenant: ["acme", "globex"],
      user: null,
      api_key: null,
      model: null,
      model_tier: null,
      qos_tier: ["premium"],
    },
    block: { denials: 5, within: "1m", duration: "10m" },
    shards: 1,
  });
});

it("writes a policy as the form that reads as the same", () => {
  const { policy } = readDraft({ ...DRAFT, blocks: true, match: { ...NEW_POLICY.match, user: "ada, bob" } });
  expect(policy && readDraft(draftOf(policy)).policy).toEqual(policy);
});

it.each<[string, Partial<Draft>, string[]]>([
  ["no limit", { limit: "" }, ["limit"]],
  ["no window", { window: "" }, ["window"]],
  ["both", { limit: "0", window: "40d" }, ["limit", "window"]],
  [
    "a block's numbers",
    { blocks: true, denials: "x", within: "", duration: "1y" },
    ["block.denials", "block.within", "block.duration"],
  ],
  ["not those of a block that is off", { blocks: false, denials: "x" }, []],
])("says what is wrong: %s", (_, changes, fields) => {
  const { policy, problems } = readDraft({ ...DRAFT, ...changes });
  expect(Object.keys(problems)).toEqual(fields);
  expect(policy === null).toBe(fields.length > 0);
});

it("takes names apart at commas and spaces, each once", () => {
  expect(listOf(" a, b  c,,a ")).toEqual(["a", "b", "c"]);
  expect(listOf("")).toEqual([]);
});
