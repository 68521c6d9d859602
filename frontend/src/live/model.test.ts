import { expect, test } from "vitest";
import type { LiveRequest } from "@/api/types";
import { aDenial, aFrame, aHello, aLog, aPool, aRequest, aWindow } from "../../test/live";
import { LiveModel, MOST_REQUESTS, windowKey } from "./model";

function aModel() {
  const at = { ms: 0 };
  return { at, model: new LiveModel(() => at.ms) };
}

test("counts, denials by policy, pools and windows are put together from the frames", () => {
  const { model } = aModel();
  model.begin(aHello());
  model.take(aFrame({ counts: [{ band: "batch", allowed: 2, denied: 1, shadow: 0, refused: 0, failed: 0, finished: 0, waits: {} }], denied_by: { everyone: 1 } })); // biome-ignore format: as sent
  model.take(aFrame({ denied_by: { everyone: 2 }, pools: [aPool()], windows: [aWindow({ used: 3 })] }));
  model.take(aFrame());
  expect(model.totals).toMatchObject({ allowed: 2, denied: 1, deniedBy: { everyone: 3 } });
  expect(model.pools.map((pool) => pool.name)).toEqual(["sim-small"]);
  expect(model.windows.get(windowKey(aWindow()))?.used).toBe(3);
});

test("a request's ending finds it, and one of a request that was left out changes nothing", () => {
  const { model } = aModel();
  model.take(aFrame({ requests: [aRequest({ id: "a" })] }));
  const ending = { id: "a", band: "standard", model: "sim-small", status: 200, code: null, wait_ms: 1, ttft_ms: null, total_ms: 40, input_tokens: 3, output_tokens: 4 }; // biome-ignore format: as sent
  model.take(aFrame({ endings: [ending, { ...ending, id: "never seen" }] }));
  expect(model.request("a")?.ending?.status).toBe(200);
  expect(model.requests).toHaveLength(1);
});

test("the newest request stands first", () => {
  const { model } = aModel();
  model.take(aFrame({ requests: [aRequest({ id: "first" }), aRequest({ id: "second" })] }));
  expect(model.requests.map((request) => request.id)).toEqual(["second", "first"]);
});

test("another window is watched: its denials among the last requests are shown at once", () => {
  const { model } = aModel();
  model.begin(aHello());
  model.take(aFrame({ requests: [aDenial({ id: "mine" }), aDenial({ id: "other", denied_by: "everyone" })] }));
  expect(model.log.crosses).toEqual([]);
  model.begin(aHello({ watching: aWindow() }));
  expect(model.log.crosses.map((cross) => cross.id)).toEqual(["mine"]);
});

test("a window that changed again is the last to be dropped", () => {
  const { model } = aModel();
  const named = (subject: number) => aWindow({ subject: `tenant-${subject}` });
  model.take(aFrame({ windows: Array.from({ length: 500 }, (_, subject) => named(subject)) }));
  model.take(aFrame({ windows: [named(0)] }));
  model.take(aFrame({ windows: [named(500)] }));
  expect(model.windows.has(windowKey(named(0)))).toBe(true);
  expect(model.windows.has(windowKey(named(1)))).toBe(false);
});

test("stays as large as it is, whatever happens: 100,000 events", () => {
  const { at, model } = aModel();
  model.begin(aHello({ watching: aWindow({ limit: 1_000_000, window_s: 60 }) }));
  const window = aWindow({ limit: 1_000_000, window_s: 60 });
  let ordinal = 0;
  for (let frame = 0; frame < 1_000; frame += 1) {
    at.ms = frame * 100;
    const atMs = 1_000_000 + at.ms;
    const requests: LiveRequest[] = [];
    const entries: [number, number, number][] = [];
    for (let event = 0; event < 100; event += 1) {
      ordinal += 1;
      if (event % 2) requests.push(aDenial({ id: `${ordinal}`, at_ms: atMs }));
      else entries.push([atMs, ordinal, 1]);
    }
    const counts = [{ band: "standard", allowed: 50, denied: 50, shadow: 0, refused: 0, failed: 0, finished: 50, waits: { [frame % 90]: 50 } }]; // biome-ignore format: as sent
    model.take(aFrame({ at_ms: atMs, requests, counts, log: aLog({ window, entries }), windows: [aWindow({ subject: `s${frame}` })] })); // biome-ignore format: as sent
  }
  expect(model.totals).toMatchObject({ allowed: 50_000, denied: 50_000 });
  expect(model.requests).toHaveLength(MOST_REQUESTS);
  expect(model.log.marks.length).toBeLessThanOrEqual(8_000);
  expect(model.log.marks.at(-1)?.ordinal).toBe(ordinal - 1);
  expect(model.log.crosses.length).toBeLessThanOrEqual(2_000);
  expect(model.windows.size).toBeLessThanOrEqual(500);
  expect(model.seconds.last(model.clock.now())).toHaveLength(60);
});
