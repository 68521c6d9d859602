import { expect, test } from "vitest";
import type { WindowNow } from "@/api/types";
import { aWindow } from "../../test/live";
import { beginAtMs, type EdgeWorld, edgeBurst, leadMs, windowToFill } from "./edge";
import type { SentRequest } from "./sent";

const MINUTE = aWindow({ policy: "standard-rate", limit: 60, window_s: 60 });

test.each<[string, Partial<WindowNow>[], string | null]>([
  [
    "the shortest",
    [
      { policy: "a", window_s: 20 },
      { policy: "b", window_s: 10 },
    ],
    "b",
  ],
  [
    "of equally long ones, the one with the lowest limit",
    [
      { policy: "a", limit: 30 },
      { policy: "b", limit: 5 },
    ],
    "b",
  ],
  [
    "none that is over before a burst could be",
    [
      { policy: "a", window_s: 1 },
      { policy: "b", window_s: 30 },
    ],
    "b",
  ],
  ["none that lasts too long", [{ policy: "a", window_s: 3_600 }], null],
  ["none too large to fill", [{ policy: "a", limit: 3_000 }], null],
  ["none that counts tokens", [{ policy: "a", unit: "tokens" }], null],
  ["none that only watches", [{ policy: "a", enforced: false }], null],
  ["none where there is none", [], null],
])("of the windows it fills %s", (_, windows, policy) => {
  expect(windowToFill(windows.map((of) => aWindow(of)))?.policy ?? null).toBe(policy);
});

test.each([
  // window, used, now, edge: times in ms
  ["an empty window: before the next edge", { used: 0 }, 100_000, 110_000],
  ["an empty window, too near an edge: before the one after", { used: 0 }, 109_900, 120_000],
  ["a used one: first it must be empty", { used: 3 }, 101_000, 120_000],
] as const)("begins, with %s", (_, of, nowMs, edgeMs) => {
  const window = aWindow(of);
  expect(beginAtMs(window, nowMs)).toBe(edgeMs - leadMs(10));
  expect(beginAtMs(window, nowMs)).toBeGreaterThanOrEqual(nowMs);
});

interface Told {
  world: EdgeWorld;
  bursts: { atMs: number; times: number }[];
  said: string[];
  watched: WindowNow[];
}

/** A server whose sliding log admits ten in any ten seconds; its clock is a million ahead of the page's. */
function aWorld({ windows = [MINUTE, aWindow()], stopAfter = Number.POSITIVE_INFINITY } = {}): Told {
  let nowMs = 1_234;
  let slept = 0;
  const log: number[] = [];
  const told: Told = {
    bursts: [],
    said: [],
    watched: [],
    world: {
      ask: async () => ({ windows, serverMs: nowMs + 1_000_000 }),
      burst: async (times) => {
        told.bursts.push({ atMs: nowMs + 1_000_000, times });
        return Array.from({ length: times }, () => {
          const room = log.filter((at) => at > nowMs - 10_000).length < 10;
          if (room) log.push(nowMs);
          return { outcome: room ? "allowed" : "denied" } as SentRequest;
        });
      },
      sleep: async (ms) => {
        slept += 1;
        nowMs += Math.max(0, ms);
        return slept <= stopAfter;
      },
      monotonic: () => nowMs,
      watch: (window) => told.watched.push(window),
      say: (text) => told.said.push(text),
    },
  };
  return told;
}

test("two bursts of the limit, one on each side of an edge of the server's time", async () => {
  const told = aWorld();
  await edgeBurst(told.world);
  const [before, after] = told.bursts;
  expect(before).toEqual({ atMs: 1_010_000 - leadMs(10), times: 10 });
  expect(after).toEqual({ atMs: 1_010_200, times: 10 });
  expect(told.watched.map(({ policy }) => policy)).toEqual(["key-burst"]);
});

test("it says what is coming, and counts what came of it", async () => {
  const told = aWorld();
  await edgeBurst(told.world);
  expect(told.said[0]).toBe(
    "Within 7.9 s: 10 requests just before the next edge of a fixed window of 10 s, and 10 just after.",
  );
  expect(told.said.at(-1)).toBe(
    "Before the edge 10 of 10 were admitted, right after it 0 of 10. A fixed window begins anew at its edge: it would have admitted up to 20 within 1.1 s.",
  );
});

test.each([
  ["before the first half", 0, 0],
  ["between the halves", 1, 1],
])("stopped %s, it sends no more and claims nothing", async (_, stopAfter, bursts) => {
  const told = aWorld({ stopAfter });
  await edgeBurst(told.world);
  expect(told.bursts).toHaveLength(bursts);
  expect(told.said.join()).not.toContain("were admitted");
});

test("without a window that can be filled it sends nothing, and says why", async () => {
  const told = aWorld({ windows: [MINUTE] });
  await edgeBurst(told.world);
  expect(told.bursts).toEqual([]);
  expect(told.said).toEqual(["This key has no window of 50 requests or fewer that ends within a minute."]);
});
