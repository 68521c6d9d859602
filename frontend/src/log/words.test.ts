import { expect, test } from "vitest";
import { WatchedLog } from "@/live/log";
import { aDenial, aLog, aWindow } from "../../test/live";
import { deniedLately, limitWords, roomAt, roomWords, subjectWords, summary } from "./words";

function logOf(limit: number, ...times: number[]): WatchedLog {
  const log = new WatchedLog();
  const entries = times.map((ms, at) => [ms, at + 1, 1] as [number, number, number]);
  log.take(aLog({ window: aWindow({ limit }), fresh: true, entries }), times.at(-1) ?? 0);
  return log;
}

test.each([
  [{ scope: "API_KEY", subject: "demo-standard" }, "key demo-standard"],
  [{ scope: "TENANT", subject: "acme" }, "tenant acme"],
  [{ scope: "GLOBAL", subject: "" }, "everybody"],
  [{ scope: "USER_MODEL", subject: "bob|sim-large" }, "user bob on sim-large"],
  [{ scope: "MODEL_TIER", subject: "large|tenant=acme" }, "tier large, tenant acme"],
  [{ scope: "MODEL", subject: "org/model-8b" }, "model org/model-8b"],
])("%o is %s", (window, words) => {
  expect(subjectWords(window)).toBe(words);
});

test("a limit in words", () => {
  expect(limitWords(aWindow())).toBe("10 requests in any 10 s");
  expect(limitWords(aWindow({ unit: "total_tokens", limit: 6_000, window_s: 60 }))).toBe("6,000 tokens in any 1 min");
  expect(limitWords(aWindow({ unit: "concurrent_requests", limit: 8 }))).toBe("8 requests at the same time");
});

test("counted down to the very moment at which a slot is free", () => {
  const log = logOf(2, 1_000, 2_500);
  const told = [2_500, 9_701, 10_999, 11_000, 12_499, 12_500].map((now) => roomWords(roomAt(log, now)));
  expect(told).toEqual([
    "next slot in 8.5 s",
    "next slot in 1.3 s",
    "next slot in 0.1 s",
    "room for 1 now",
    "room for 1 now",
    "room for 2 now",
  ]);
});

test("a limit of nothing has room for none, ever", () => {
  expect(roomWords(roomAt(logOf(0), 5_000))).toBe("room for none");
});

test("the text equivalent says what the canvas shows", () => {
  const log = logOf(2, 1_000, 2_500);
  log.decided(aDenial({ at_ms: 2_600 }));
  expect(summary(log, 3_000)).toBe(
    "2 of 2 requests in any 10 s used by key demo-standard; next slot in 8.0 s. The oldest entry leaves in 8.0 s." +
      " Denied in the last 10 s: 1; these are not in the log.",
  );
  expect(summary(log, 30_000)).toContain("0 of 2 requests in any 10 s used by key demo-standard; room for 2 now.");
  expect(summary(log, 30_000)).toContain("The log has no entry. Denied in the last 10 s: 0");
  expect(summary(new WatchedLog(), 0)).toBe("No window is watched.");
});

test("a denial is told of for as long as the window is", () => {
  const log = logOf(1, 1_000);
  log.decided(aDenial({ at_ms: 2_000 }));
  expect([11_999, 12_000].map((now) => deniedLately(log, now))).toEqual([1, 0]);
});
