import { describe, expect, test } from "vitest";
import type { LiveEnding } from "@/api/types";
import { aDenial, aRequest } from "../../test/live";
import { aDenied, aSent } from "../../test/sent";
import { type Denial, explainDenial, explainSeen, explainSent, limitInWords, whose } from "./explain";

const DENIAL: Denial = {
  ...{ policy: "key-burst", scope: "API_KEY", subject: "demo-standard", limit: 10, windowS: 10, unit: "requests" },
  ...{ retryMs: 3_120, tenant: "globex", user: "stan", apiKey: "demo-standard", model: "sim-large", band: "standard" },
};

test.each<[string, Partial<Denial>, string]>([
  ["everybody", { scope: "GLOBAL" }, "the one window of all traffic"],
  ["a tenant", { scope: "TENANT", subject: null }, "the window of the tenant globex"],
  ["a key", { subject: null }, "the window of the key demo-standard"],
  ["a model", { scope: "MODEL", subject: null }, "the window of the model sim-large"],
  ["a tier", { scope: "MODEL_TIER", subject: "large|tenant=globex" }, "the window of the tier large, tenant=globex"],
  ["a tier that is not named", { scope: "MODEL_TIER", subject: null }, "the window of sim-large's tier"],
  ["a user and a model", { scope: "USER_MODEL" }, "the window of stan of globex on sim-large"],
  ["a scope that is not known", { scope: "", subject: "a|b" }, "the window of a, b"],
  ["nobody knows whom", { scope: "", subject: null }, "its window"],
])("whose window: %s", (_, of, expected) => {
  expect(whose({ ...DENIAL, ...of })).toBe(expected);
});

describe("a denial", () => {
  test("names the rule, whose window was full, and when there is room", () => {
    const { title, sentences, retryMs } = explainDenial(DENIAL);
    expect(title).toBe("Denied by key-burst");
    expect(sentences).toEqual([
      "The policy key-burst allows each API key 10 requests in any 10 s.",
      "The window of the key demo-standard had no room for it.",
      "The same request fits 3.2 s later, when the oldest entries leave the window, unless somebody else is first. Denied requests are logged nowhere and cost nothing.",
    ]);
    expect(retryMs).toBe(3_120);
  });

  test.each<[string, Partial<Denial>, string]>([
    [
      "of requests at once",
      { unit: "concurrent_requests", limit: 8, windowS: null, scope: "USER_MODEL" },
      "The policy key-burst allows each user on each model 8 requests at once.",
    ],
    [
      "of tokens",
      { unit: "total_tokens", limit: 50_000, windowS: 86_400 },
      "The policy key-burst allows each API key 50,000 total tokens in any 1 d.",
    ],
    ["of which little is known", { limit: null }, "The policy key-burst denied it."],
    ["of a scope that is not known", { scope: "" }, "The policy key-burst allows 10 requests in any 10 s."],
  ])("%s says its rule", (_, of, rule) => {
    expect(explainDenial({ ...DENIAL, ...of }).sentences[0]).toBe(rule);
  });

  test("of requests at once promises no time: one of them must end", () => {
    const { sentences } = explainDenial({ ...DENIAL, unit: "concurrent_requests", windowS: null, retryMs: 1_000 });
    expect(sentences[1]).toContain("as soon as one of them ends");
    expect(sentences).toHaveLength(2);
  });

  test("that lasts longer than its window is a block", () => {
    const { title, sentences } = explainDenial({ ...DENIAL, retryMs: 29_000 });
    expect(title).toBe("Blocked by key-burst");
    expect(sentences[1]).toBe(
      "It asked so often while it was denied that the window of the key demo-standard is blocked: nothing is admitted, whatever room there is, for another 29 s.",
    );
  });

  test("without a time says nothing of one", () => {
    expect(explainDenial({ ...DENIAL, retryMs: null }).sentences).toHaveLength(2);
  });
});

describe("of what this page has sent", () => {
  test("a denial is read from its own headers", () => {
    const { title, sentences, retryMs } = explainSent(aDenied());
    expect(title).toBe("Denied by key-burst");
    expect(sentences[0]).toBe("The policy key-burst allows each API key 10 requests in any 10 s.");
    expect(retryMs).toBe(3_120);
  });

  test("the feed knows whose window it was", () => {
    const request = aDenied({ tenant: "acme" });
    const seen = { ...aDenial({ denied_subject: "another-key" }), ending: null };
    expect(explainSent(request, seen).sentences[1]).toBe("The window of the key another-key had no room for it.");
  });

  test.each([
    ["queue_full", "Refused: the queue is full", "As many requests of the band standard wait for one as may."],
    [
      "queue_timeout",
      "Refused: too long a wait for a slot",
      "It would have waited, or has waited, longer than requests of the band standard may.",
    ],
  ])("%s is the queue's, and says what it lacked", (code, title, sentence) => {
    const error = { message: "No.", code };
    const told = explainSent(aSent({ outcome: "refused", status: 429, error, headers: { "retry-after": "2" } }));
    expect(told.title).toBe(title);
    expect(told.sentences).toContain(sentence);
    expect(told.sentences).toContain("Its limits allowed it; what it lacked was a slot of sim-small.");
    expect(told.retryMs).toBe(2_000);
  });

  test.each([
    [400, "request_exceeds_limit", "Too large for its limits"],
    [503, "limits_unavailable", "Limits cannot be checked"],
    [503, "model_unavailable", "No replica of the model"],
    [503, "something_new", "Not available now"],
    [401, "invalid_api_key", "Key not accepted"],
    [404, "model_not_found", "No such model"],
    [502, undefined, "No server behind the proxy"],
    [418, undefined, "Answered 418"],
  ])("%i %s: %s", (status, code, title) => {
    const error = { message: "As the server puts it.", ...(code ? { code } : {}) };
    const told = explainSent(aSent({ outcome: "failed", status, error }));
    expect(told.title).toBe(title);
    expect(told.sentences).toContain("In the server's words: As the server puts it.");
  });

  test.each([
    ["waiting", null, "Under way"],
    ["allowed", 200, "Allowed"],
    ["stopped", null, "Stopped"],
    ["unreachable", null, "No answer"],
    ["failed", 200, "Broke off"],
  ] as const)("%s, %s: %s", (outcome, status, title) => {
    const error = outcome === "allowed" || outcome === "waiting" ? null : { message: "Why." };
    expect(explainSent(aSent({ outcome, status, error }))).toMatchObject({ title, retryMs: null });
  });
});

describe("of what the feed tells", () => {
  function ended(of: Partial<LiveEnding> | null) {
    return { ...aRequest(), ending: of && ({ status: 200, code: null, ...of } as LiveEnding) };
  }

  test.each([
    ["nothing yet", ended(null), "Under way"],
    ["a success", ended({}), "Allowed"],
    ["a full queue", ended({ status: 429, code: "queue_full" }), "Refused: the queue is full"],
    ["a client that left", ended({ status: 499 }), "The client left"],
    ["a failure", ended({ status: 503, code: "model_unavailable" }), "No replica of the model"],
    ["a failure without a code", ended({ status: 500 }), "Failed in the server"],
  ])("%s", (_, seen, title) => {
    expect(explainSeen(seen).title).toBe(title);
  });

  test("a denial says as much as is known of its window", () => {
    const seen = { ...aDenial({ retry_after_s: 1.2004 }), ending: null };
    expect(explainSeen(seen)).toMatchObject({ title: "Denied by key-burst", retryMs: 1_201 });
    expect(explainSeen(seen).sentences[0]).toBe("The policy key-burst denied it.");
    const window = { scope: "API_KEY", limit: 10, window_s: 10, unit: "requests" };
    expect(explainSeen(seen, window).sentences[0]).toBe("The policy key-burst allows each API key 10 requests in any 10 s."); // biome-ignore format: a value
  });
});

test.each([
  [{ remaining: 3, resetS: 4 }, "3 of 10 requests left in any 10 s; room comes back within 4.0 s"],
  [{ remaining: 10, resetS: 0 }, "10 of 10 requests left in any 10 s"],
  [{ remaining: null, resetS: null }, "10 requests left in any 10 s"],
  [{ remaining: 7, resetS: 0, unit: "concurrent requests", windowS: null }, "7 of 10 at once left"],
])("what is left: %j", (of, expected) => {
  const limit = { policy: "key-burst", limit: 10, windowS: 10, unit: "requests", ...of };
  expect(limitInWords(limit)).toBe(expected);
});
