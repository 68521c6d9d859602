import { expect, test } from "vitest";
import { aWindow } from "../../test/live";
import { bestOf, optionsOf } from "./choice";

const BURST = aWindow();
const RATE = aWindow({ policy: "standard-rate", scope: "TENANT", subject: "globex", limit: 60, window_s: 60 });
const EVERYONE = aWindow({ policy: "everyone", scope: "GLOBAL", subject: "", limit: 3_000, window_s: 60 });
const SLOTS = aWindow({
  policy: "user-slots",
  scope: "USER_MODEL",
  unit: "concurrent_requests",
  limit: 8,
  window_s: 30,
});
const DAILY = aWindow({ policy: "daily", limit: 5, window_s: 86_400 });
const TOKENS = aWindow({ policy: "tokens", unit: "total_tokens", limit: 100 });

test("each window is offered once, in an order that does not move while usage does", () => {
  const options = optionsOf([RATE, SLOTS], [EVERYONE, { ...RATE, used: 9 }, BURST]);
  expect(options.map((option) => option.label)).toEqual([
    "everyone · everybody · 3000 in 1 min",
    "key-burst · key demo-standard · 10 in 10 s",
    "standard-rate · tenant globex · 60 in 1 min",
    "user-slots · user demo-standard · 8 at once",
  ]);
});

test("watched first: the demo's small, short window of requests", () => {
  const others = [EVERYONE, RATE, SLOTS, DAILY, TOKENS].map((window) => ({ ...window, used: 1 }));
  expect(bestOf([...others, BURST], "demo-standard")?.policy).toBe("key-burst");
});

test("without a preferred key, the shortest and smallest with traffic", () => {
  const quiet = aWindow({ policy: "quiet" });
  expect(bestOf([EVERYONE, RATE, quiet, { ...BURST, used: 3 }], null)?.policy).toBe("key-burst");
});

test("slots are not a log: they are never what is shown first", () => {
  expect(bestOf([SLOTS], null)).toBeNull();
  expect(bestOf([], "demo-standard")).toBeNull();
});
