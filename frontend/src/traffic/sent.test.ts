import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { aSent } from "../../test/sent";
import { MOST_SENT, type Outcome, SentLog, TELL_EVERY_MS } from "./sent";

let log: SentLog;

beforeEach(() => {
  vi.useFakeTimers();
  log = new SentLog();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Once everything is told. */
function told() {
  vi.advanceTimersByTime(TELL_EVERY_MS);
  return log.now();
}

test("keeps the last two hundred, newest first", () => {
  for (let n = 1; n <= MOST_SENT + 50; n += 1) log.begin(aSent({ id: `r${n}` }));
  const { requests } = told();
  expect(requests).toHaveLength(200);
  expect(requests[0]?.id).toBe("r250");
  expect(requests.at(-1)?.id).toBe("r51");
  expect(log.get("r50")).toBeUndefined();
});

test("what is learnt of a request takes its place; what was dropped does not come back", () => {
  log.begin(aSent({ id: "old" }));
  for (let n = 1; n <= MOST_SENT; n += 1) log.begin(aSent({ id: `r${n}` }));
  log.update(aSent({ id: "old", reply: "late" }));
  log.update(aSent({ id: "r1", reply: "Yes" }));
  log.end(aSent({ id: "old", outcome: "allowed" }));
  const { requests, totals } = told();
  expect(requests).toHaveLength(200);
  expect(requests.some(({ id }) => id === "old")).toBe(false);
  expect(requests.at(-1)).toMatchObject({ id: "r1", reply: "Yes" });
  expect(totals.get("demo-standard")).toMatchObject({ sent: 201, allowed: 1 });
});

test("totals are exact for each persona, however much was dropped", () => {
  const outcomes: Outcome[] = ["allowed", "denied", "refused", "failed", "unreachable", "stopped"];
  for (let n = 0; n < 1_200; n += 1) {
    const request = aSent({ id: `r${n}`, persona: n % 3 ? "a" : "b", outcome: outcomes[n % 6] ?? "allowed" });
    log.begin({ ...request, outcome: "waiting" });
    log.end(request);
  }
  const { totals } = told();
  // Every third goes to b: those that are allowed and those that failed.
  expect(totals.get("b")).toEqual({ sent: 400, allowed: 200, denied: 0, refused: 0, other: 200 });
  expect(totals.get("a")).toEqual({ sent: 800, allowed: 0, denied: 200, refused: 200, other: 400 });
});

test("those who look are told at once, then four times a second at most, and at last of the end", () => {
  let tellings = 0;
  log.subscribe(() => {
    tellings += 1;
  });
  log.begin(aSent({ id: "first" }));
  expect(tellings).toBe(1);
  for (let ms = 0; ms < 1_000; ms += 10) {
    log.begin(aSent({ id: `at ${ms}` }));
    vi.advanceTimersByTime(10);
  }
  expect(tellings).toBe(5);
  log.end(aSent({ id: "at 990", outcome: "allowed" }));
  expect(told().requests[0]).toMatchObject({ id: "at 990", outcome: "allowed" });
  const before = tellings;
  vi.advanceTimersByTime(60_000);
  expect(tellings).toBe(before);
});

test("what was told stays the same object until there is more to tell", () => {
  log.begin(aSent());
  const before = told();
  expect(log.now()).toBe(before);
  log.begin(aSent({ id: "another" }));
  expect(told()).not.toBe(before);
});

test("one that looks no more is not told", () => {
  const listener = vi.fn();
  log.subscribe(listener)();
  log.begin(aSent());
  expect(listener).not.toHaveBeenCalled();
});
