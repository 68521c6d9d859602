import { describe, expect, test } from "vitest";
import { aDenial, aLog, aWindow } from "../../test/live";
import { firstAfter, freeInMs, inWindow, KEPT_WINDOWS, type Mark, usedAt, WatchedLog } from "./log";

const WINDOW_MS = 10_000;

function marksAt(...times: (number | [ms: number, cost: number])[]): Mark[] {
  return times.map((time, ordinal) => {
    const [ms, cost] = typeof time === "number" ? [time, 1] : time;
    return { ms, ordinal: ordinal + 1, cost };
  });
}

test.each([
  ["before it was logged", 4_999, false],
  ["the instant it was logged", 5_000, true],
  ["within", 9_000, true],
  ["the last ms of its window", 14_999, true],
  ["the window's end, which is open", 15_000, false],
  ["later", 20_000, false],
])("an entry of 5000 counts for 10 s: %s", (_, nowMs, counts) => {
  expect(inWindow(5_000, nowMs, WINDOW_MS)).toBe(counts);
  expect(usedAt(marksAt(5_000), nowMs, WINDOW_MS)).toBe(counts ? 1 : 0);
});

test("the first after a moment, of none, of equal ones, and past the last", () => {
  const marks = marksAt(10, 20, 20, 30);
  expect([0, 10, 19, 20, 29, 30, 99].map((ms) => firstAfter(marks, ms))).toEqual([0, 1, 1, 3, 3, 4, 4]);
  expect(firstAfter([], 5)).toBe(0);
});

describe("the time until a request fits", () => {
  test("is none while there is room, and the oldest entry's when there is not", () => {
    const marks = marksAt(1_000, 2_000, 3_000);
    expect(freeInMs(marks, 4, 1, 5_000, WINDOW_MS)).toBe(0);
    expect(freeInMs(marks, 3, 1, 5_000, WINDOW_MS)).toBe(6_000);
    expect(freeInMs(marks, 3, 2, 5_000, WINDOW_MS)).toBe(7_000);
    expect(freeInMs(marks, 2, 1, 5_000, WINDOW_MS)).toBe(7_000); // the limit was lowered below what is used
  });

  test("is never for a request that is larger than the limit", () => {
    expect(freeInMs([], 3, 4, 0, WINDOW_MS)).toBeNull();
  });

  test("is what trying every millisecond finds", () => {
    let random = 42;
    const next = (below: number) => {
      random = (random * 16_807) % 2_147_483_647;
      return random % below;
    };
    for (let round = 0; round < 200; round += 1) {
      const windowMs = 20 + next(60);
      const limit = 1 + next(8);
      let ms = 100;
      const times: [number, number][] = [];
      for (let left = next(14); left > 0; left -= 1) {
        ms += next(12);
        times.push([ms, next(4)]);
      }
      const marks = marksAt(...times);
      const nowMs = 100 + next(120);
      const cost = 1 + next(limit);
      const arrived = marks.filter((mark) => mark.ms <= nowMs); // a mark of the future is not known yet
      const found = freeInMs(arrived, limit, cost, nowMs, windowMs);
      let wait = 0;
      while (usedAt(arrived, nowMs + wait, windowMs) + cost > limit) wait += 1;
      expect(found).toBe(wait);
    }
  });
});

describe("the watched log", () => {
  test("takes what each frame says is new, and knows an entry by its number", () => {
    const log = new WatchedLog();
    log.take(aLog({ fresh: true, entries: [[1_000, 1, 1]] }), 1_000);
    log.take(aLog({ entries: [[1_000, 1, 1], [1_000, 2, 1], [1_700, 3, 1]] }), 1_800); // biome-ignore format: as sent
    expect(log.marks.map((mark) => mark.ordinal)).toEqual([1, 2, 3]);
    expect(log.usedAt(1_800)).toBe(3);
    expect(log.usedAt(11_000)).toBe(1);
  });

  test("a settled entry counts for its new cost, at its old time", () => {
    const log = new WatchedLog();
    log.take(aLog({ window: aWindow({ unit: "total_tokens", limit: 100 }), fresh: true, entries: [[1_000, 7, 60], [1_200, 8, 40]] }), 1_300); // biome-ignore format: as sent
    expect(log.roomInMs(1_300)).toBe(9_700);
    log.take(aLog({ window: aWindow({ unit: "total_tokens", limit: 100 }), changed: [[7, 12]] }), 1_400);
    expect(log.usedAt(1_400)).toBe(52);
    expect(log.roomInMs(1_400)).toBe(0);
    log.take(aLog({ window: aWindow({ unit: "total_tokens", limit: 100 }), changed: [[8, 0], [99, 5]] }), 1_500); // biome-ignore format: as sent
    expect(log.marks).toEqual([
      { ms: 1_000, ordinal: 7, cost: 12 },
      { ms: 1_200, ordinal: 8, cost: 0 },
    ]);
  });

  test("a fresh telling replaces what was known", () => {
    const log = new WatchedLog();
    log.take(aLog({ fresh: true, entries: [[1_000, 5, 1]] }), 1_000);
    log.take(aLog({ fresh: true, entries: [[1_100, 2, 1]] }), 1_200);
    expect(log.marks.map((mark) => mark.ordinal)).toEqual([2]);
  });

  test("counts down from the marks; a frame that says later is believed until then", () => {
    const log = new WatchedLog();
    const entries = [[1_000, 1, 1]] as [number, number, number][];
    log.take(aLog({ window: aWindow({ limit: 1 }), fresh: true, entries, next_free_s: 9.5 }), 1_500);
    expect(log.roomInMs(1_500)).toBe(9_500);
    expect(log.roomInMs(10_999)).toBe(1);
    expect(log.roomInMs(11_000)).toBe(0);
    log.take(aLog({ window: aWindow({ limit: 1 }), next_free_s: 60 }), 2_000);
    expect(log.roomInMs(11_000)).toBe(51_000);
  });

  test("of a log that is too long for entries, what the server said is shown", () => {
    const log = new WatchedLog();
    const profile = { from_ms: 0, span_ms: 50, counts: [1_500, 1_000] };
    log.take(aLog({ window: aWindow({ limit: 2_500, used: 2_500 }), fresh: true, profile, next_free_s: 2 }), 9_000);
    expect(log.usedAt(9_500)).toBe(2_500);
    expect(log.roomInMs(9_500)).toBe(1_500);
  });

  test("keeps the denials of its own window only, in the order of time", () => {
    const log = new WatchedLog();
    log.watch(aWindow());
    log.decided(aDenial({ at_ms: 3_000, id: "b" }));
    log.decided(aDenial({ at_ms: 2_000, id: "a" }));
    log.decided(aDenial({ denied_subject: "demo-batch" }));
    log.decided(aDenial({ denied_by: "everyone", denied_subject: null }));
    log.decided(aDenial({ outcome: "allowed", denied_by: null }));
    expect(log.crosses.map((cross) => cross.id)).toEqual(["a", "b"]);
  });

  test("the window of everybody has no subject, in whatever way that is said", () => {
    const log = new WatchedLog();
    log.watch(aWindow({ policy: "everyone", scope: "GLOBAL", subject: "" }));
    log.decided(aDenial({ denied_by: "everyone", denied_subject: null }));
    log.decided(aDenial({ denied_by: "everyone", denied_subject: "" }));
    expect(log.crosses).toHaveLength(2);
  });

  test("forgets what is older than the history it keeps", () => {
    const log = new WatchedLog();
    log.take(aLog({ fresh: true, entries: [[1_000, 1, 1], [2_000, 2, 1]] }), 2_000); // biome-ignore format: as sent
    log.decided(aDenial({ at_ms: 1_000 }));
    log.forget(1_000 + WINDOW_MS * KEPT_WINDOWS - 1);
    expect([log.marks.length, log.crosses.length]).toEqual([2, 1]);
    log.forget(1_000 + WINDOW_MS * KEPT_WINDOWS);
    expect([log.marks.length, log.crosses.length]).toEqual([1, 0]);
  });

  test("slots that are held count as the server says: they do not leave with time", () => {
    const log = new WatchedLog();
    const window = aWindow({ unit: "concurrent_requests", limit: 2, used: 2 });
    log.take(aLog({ window, fresh: true }), 1_000);
    expect(log.held).toBe(true);
    expect(log.usedAt(99_000)).toBe(2);
  });
});
