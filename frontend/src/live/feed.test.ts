import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { aFrame, aHello, aLog, aWindow } from "../../test/live";
import { Feed } from "./feed";
import { LiveModel } from "./model";

/** A stream as the server would send it, under the test's hand. */
class Stream {
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  private readonly body: ReadableStream<Uint8Array>;

  constructor(
    readonly url: string,
    readonly key: string | null,
    readonly signal: AbortSignal,
  ) {
    this.body = new ReadableStream({
      start: (controller) => {
        this.controller = controller;
        signal.addEventListener("abort", () => controller.error(signal.reason));
      },
    });
  }

  get response(): Response {
    return new Response(this.body);
  }

  async send(event: string, data: object): Promise<void> {
    this.controller?.enqueue(new TextEncoder().encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
    await settled();
  }

  async close(): Promise<void> {
    this.controller?.close();
    await settled();
  }
}

let streams: Stream[];
/** What the server answers instead of a stream, by path; a status or no answer at all. */
let refusals: Map<string, number | "unreachable" | "no server behind the proxy">;

function last(): Stream {
  const stream = streams.at(-1);
  if (!stream) throw new Error("nothing was asked for");
  return stream;
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function aFeed() {
  const model = new LiveModel();
  return { model, feed: new Feed(model, () => undefined) };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  streams = [];
  refusals = new Map();
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    streams.push(new Stream(url, new Headers(init.headers).get("authorization"), init.signal as AbortSignal));
    const refusal = refusals.get(url.split("?")[0] ?? "");
    if (refusal === "unreachable") throw new TypeError("Failed to fetch");
    if (refusal === "no server behind the proxy") return new Response("Path '/admin/live' not found.", { status: 404 });
    const error = { message: `No: ${refusal}.`, code: "the_servers_own" };
    if (refusal) return new Response(JSON.stringify({ error }), { status: refusal });
    return last().response;
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("asks with the key in a header, never in the address, and is live after the first event", async () => {
  const { feed, model } = aFeed();
  expect(feed.state).toEqual({ is: "idle" });
  feed.use("sk-secret");
  expect(feed.state).toEqual({ is: "connecting" });
  await last().send("hello", aHello());
  await last().send("frame", aFrame({ replicas: 2 }));
  expect(feed.state).toEqual({ is: "live", scope: "everybody" });
  expect(model.frame?.replicas).toBe(2);
  expect([last().url, last().key]).toEqual(["/admin/live", "Bearer sk-secret"]);
});

test("a key that may not see everybody's traffic gets its tenant's share", async () => {
  refusals.set("/admin/live", 403);
  const { feed } = aFeed();
  feed.use("sk-premium");
  await settled();
  expect(streams.map((stream) => stream.url)).toEqual(["/admin/live", "/v1/limits/live"]);
  await last().send("hello", aHello({ tenant: "acme" }));
  expect(feed.state).toEqual({ is: "live", scope: "tenant" });
});

test("a key that may see neither is refused, and not asked about again", async () => {
  refusals.set("/admin/live", 403).set("/v1/limits/live", 403);
  const { feed } = aFeed();
  feed.use("sk-gateway");
  await settled();
  expect(feed.state).toEqual({ is: "refused", why: "No: 403.", status: 403 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams).toHaveLength(2);
});

test("connects again, ever more slowly, until the server is there", async () => {
  refusals.set("/admin/live", "unreachable");
  const { feed } = aFeed();
  feed.use("sk-admin");
  await settled();
  const waits = [];
  for (let time = 0; time < 6; time += 1) {
    if (feed.state.is !== "away") throw new Error(`it is ${feed.state.is}`);
    waits.push(feed.state.retryInMs);
    expect(feed.state.retryAt).toBe(performance.now() + feed.state.retryInMs);
    await vi.advanceTimersByTimeAsync(feed.state.retryInMs - 1);
    expect(streams).toHaveLength(time + 1);
    if (time === 5) refusals.clear();
    await vi.advanceTimersByTimeAsync(1);
    await settled();
    expect(streams).toHaveLength(time + 2);
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  await last().send("hello", aHello());
  expect(feed.state.is).toBe("live");
  await last().close();
  expect(feed.state).toMatchObject({ is: "away", why: "The connection has ended.", retryInMs: 500 });
});

test("says what the server said when it ended the stream", async () => {
  const { feed } = aFeed();
  feed.use("sk-admin");
  await last().send("hello", aHello());
  await last().send("end", { reason: "slow", message: "You did not keep up." });
  expect(feed.state).toMatchObject({ is: "away", why: "You did not keep up." });
});

test("a server that is in trouble is asked again; one that refuses the key is not", async () => {
  refusals.set("/admin/live", 503);
  const { feed } = aFeed();
  feed.use("sk-admin");
  await settled();
  expect(feed.state).toMatchObject({ is: "away", why: "No: 503." });
  refusals.set("/admin/live", 401);
  await vi.advanceTimersByTimeAsync(500);
  await settled();
  expect(feed.state).toMatchObject({ is: "refused", status: 401 });
});

test("a stream that has fallen silent is left for another", async () => {
  const { feed } = aFeed();
  feed.use("sk-admin");
  const first = last();
  await first.send("hello", aHello());
  await vi.advanceTimersByTimeAsync(4_999);
  await first.send("frame", aFrame()); // each word counts anew
  await vi.advanceTimersByTimeAsync(4_999);
  await settled();
  expect(feed.state.is).toBe("live");
  await vi.advanceTimersByTimeAsync(1);
  await settled();
  expect(first.signal.aborted).toBe(true);
  expect(feed.state).toMatchObject({ is: "away", why: "Nothing was heard from the server for 5 s." });
});

test("paused, nothing is heard and time stands still; resumed, it goes on with the window that is watched", async () => {
  const { feed, model } = aFeed();
  feed.use("sk-admin");
  await last().send("hello", aHello({ at_ms: 5_000 }));
  const before = last();
  feed.pause();
  const then = model.clock.now();
  await vi.advanceTimersByTimeAsync(3_000);
  expect([feed.state.is, before.signal.aborted, model.clock.now()]).toEqual(["paused", true, then]);
  feed.watch({ policy: "key-burst", subject: "demo-batch" });
  expect(streams).toHaveLength(1);
  feed.resume();
  expect(last().url).toBe("/admin/live?policy=key-burst&subject=demo-batch");
  await last().send("hello", aHello({ at_ms: 8_000 }));
  expect(model.clock.now()).toBe(8_000);
});

test("another window is another stream; the same one again is not", async () => {
  const { feed, model } = aFeed();
  feed.use("sk-admin");
  await last().send("hello", aHello());
  feed.watch({ policy: "everyone", subject: "" });
  expect(last().url).toBe("/admin/live?policy=everyone&subject=");
  await last().send("hello", aHello({ watching: aWindow({ policy: "everyone", subject: "" }) }));
  await last().send("frame", aFrame({ log: aLog({ fresh: true, entries: [[1_000_000, 1, 1]] }) }));
  expect(model.log.marks).toHaveLength(1);
  feed.watch({ policy: "everyone", subject: "" });
  expect(streams).toHaveLength(2);
});

test("a window that does not exist (any more) is let go; everything else is shown still", async () => {
  const { feed } = aFeed();
  feed.use("sk-admin");
  await last().send("hello", aHello());
  refusals.set("/admin/live", 404);
  feed.watch({ policy: "gone", subject: "x" });
  refusals.clear(); // the fetch above has its answer
  await settled();
  expect(streams.map((stream) => stream.url)).toEqual(["/admin/live", "/admin/live?policy=gone&subject=x", "/admin/live"]); // biome-ignore format: a list
  await last().send("hello", aHello());
  expect([feed.state.is, feed.watching]).toEqual(["live", null]);
});

test("a window that the server did not know is not offered again for a minute, or until another key is shown", async () => {
  const { feed, model } = aFeed();
  feed.use("sk-admin");
  await last().send("hello", aHello());
  await last().send("frame", aFrame({ windows: [aWindow({ policy: "gone", subject: "x" })] }));
  refusals.set("/admin/live", 404);
  feed.watch({ policy: "gone", subject: "x" });
  refusals.clear();
  await settled();
  const gone = { policy: "gone", subject: "x" };
  expect([feed.isUnknown(gone), feed.isUnknown(aWindow()), model.windows.size]).toEqual([true, false, 0]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(feed.isUnknown(gone)).toBe(false);
  refusals.set("/admin/live", 404);
  feed.watch(gone);
  refusals.clear();
  await settled();
  expect(feed.isUnknown(gone)).toBe(true);
  feed.use("sk-other");
  expect(feed.isUnknown(gone)).toBe(false);
});

test("while a proxy has no server behind it, it is asked again, for the same window", async () => {
  const { feed } = aFeed();
  feed.use("sk-admin");
  feed.watch({ policy: "key-burst", subject: "demo-batch" });
  await last().send("hello", aHello());
  refusals.set("/admin/live", "no server behind the proxy");
  await last().close();
  await vi.advanceTimersByTimeAsync(500);
  await settled();
  expect(feed.state).toMatchObject({ is: "away", why: "Path '/admin/live' not found." });
  refusals.clear();
  await vi.advanceTimersByTimeAsync(1_000);
  await last().send("hello", aHello());
  expect([feed.state.is, last().url]).toEqual(["live", "/admin/live?policy=key-burst&subject=demo-batch"]);
});

test("what no header can carry is refused here; a refused key can be shown again", async () => {
  const { feed } = aFeed();
  feed.use("sk-Ab3d-••••••");
  expect(feed.state).toMatchObject({ is: "refused", why: "This is no key: keys have only letters, digits, - and _." });
  expect(streams).toEqual([]);
  refusals.set("/admin/live", 401);
  feed.use("sk-late");
  await settled();
  expect(feed.state.is).toBe("refused");
  refusals.clear();
  feed.use("sk-late");
  expect(streams).toHaveLength(1);
  feed.again();
  await last().send("hello", aHello());
  expect(feed.state.is).toBe("live");
});

test("another key forgets what the one before was shown; none ends it", async () => {
  const { feed, model } = aFeed();
  feed.use("sk-admin");
  await last().send("hello", aHello());
  await last().send("frame", aFrame({ windows: [aWindow()] }));
  feed.use("sk-premium");
  expect([model.hello, model.windows.size]).toEqual([null, 0]);
  feed.use("");
  expect(feed.state).toEqual({ is: "idle" });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams).toHaveLength(2);
});
