import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useSession } from "@/app/session";
import { changed, feed, model } from "@/live/store";
import { aDenial, aFrame, aHello, aLog, aWindow, BANDS } from "../../test/live";
import { LogPanel } from "./LogPanel";

const NOW = 1_700_000_000_000;
const OTHER = aWindow({ policy: "standard-rate", scope: "TENANT", subject: "globex", limit: 60, window_s: 60 });

let asked: string[];

function shown() {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return render(
    <QueryClientProvider client={queries}>
      <LogPanel />
    </QueryClientProvider>,
  );
}

function heard(...frames: Parameters<typeof aFrame>[0][]): void {
  act(() => {
    for (const frame of frames) model.take(aFrame({ at_ms: NOW, ...frame }));
    changed();
  });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] }); // the server's time stands still but for what frames say
  asked = [];
  vi.stubGlobal("fetch", async (input: Request | string) => {
    const url = typeof input === "string" ? input : input.url;
    asked.push(url.replace(window.location.origin, ""));
    return new Response(JSON.stringify({ items: [aWindow(), OTHER], next_cursor: null }), {
      headers: { "content-type": "application/json" },
    });
  });
  vi.spyOn(feed, "watch");
  useSession.setState({
    key: "sk-demo-admin",
    settings: {
      demo: true,
      version: "0",
      bands: BANDS,
      keys: [
        ...BANDS.map((band) => ({
          id: `demo-${band}`,
          key: `sk-demo-${band}`,
          tenant: band,
          user: band,
          band,
          role: "inference" as const,
        })),
        { id: "demo-admin", key: "sk", tenant: "platform", user: "ada", band: "internal", role: "admin" },
      ],
    },
  });
});

afterEach(() => {
  feed.close();
  model.clear();
  feed.watch(null);
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("before there is anything to see, it says what will be seen", () => {
  shown();
  expect(screen.getByRole("region", { name: "The sliding log" })).toHaveTextContent(
    "Every admitted request is an entry in Redis",
  );
  expect(asked).toEqual([]);
});

test("what will be seen is said until it is seen, and not again whenever the log is empty", () => {
  model.begin(aHello({ at_ms: NOW, watching: aWindow() }));
  shown();
  const said = () => screen.queryByText(/^Every admitted request is an entry in Redis/);
  heard({ log: aLog({ fresh: true }) });
  expect(said()).toBeVisible();
  expect(screen.getByRole("button", { name: "Start" })).toBeVisible();
  heard({ log: aLog({ entries: [[NOW, 1, 1]] }) });
  expect(said()).not.toBeInTheDocument();
  heard({ at_ms: NOW + 60_000, log: aLog() });
  expect(screen.getByText("0 of 10 used")).toBeVisible();
  expect(said()).not.toBeInTheDocument();
});

test("watches the demo's standard key by itself, once the feed is there", async () => {
  shown();
  act(() => {
    model.begin(aHello({ at_ms: NOW }));
    changed();
  });
  await waitFor(() => expect(feed.watch).toHaveBeenCalledWith({ policy: "key-burst", subject: "demo-standard" }));
  expect(asked).toContain("/admin/usage?api_key=demo-standard&limit=200");
  expect(asked.some((url) => url.includes("demo-admin"))).toBe(false);
});

test("a window that is gone is let go for the next best, and offered no more", async () => {
  shown();
  act(() => {
    model.begin(aHello({ at_ms: NOW }));
    changed();
  });
  await waitFor(() => expect(feed.watching).toEqual({ policy: "key-burst", subject: "demo-standard" }));
  vi.spyOn(feed, "isUnknown").mockImplementation(({ policy }) => policy === "key-burst");
  act(() => {
    feed.watch(null);
    changed();
  });
  await waitFor(() => expect(feed.watching).toEqual({ policy: "standard-rate", subject: "globex" }));
  await userEvent.click(screen.getByRole("combobox", { name: "The window to watch" }));
  expect((await screen.findAllByRole("option")).map((option) => option.textContent)).toEqual([
    expect.stringMatching(/^standard-rate/),
  ]);
});

test("says in large type what is used and when there is room, and how it stands as text", () => {
  model.begin(aHello({ at_ms: NOW, watching: aWindow() }));
  shown();
  const entries = Array.from({ length: 10 }, (_, at) => [NOW - 5_000 + at, at + 1, 1] as [number, number, number]);
  heard({ log: aLog({ fresh: true, entries: entries.slice(0, 7) }) });
  expect(screen.getByText("7 of 10 used")).toBeVisible();
  expect(screen.getByText("room for 3 now")).toBeVisible();
  heard({
    log: aLog({ entries, next_free_s: 5 }),
    requests: [aDenial({ at_ms: NOW - 10 }), aDenial({ at_ms: NOW - 5 })],
  });
  expect(screen.getByText("10 of 10 used")).toBeVisible();
  expect(screen.getByText("next slot in 5.0 s")).toBeVisible();
  expect(screen.getByText("2 denied, not stored")).toBeVisible();
  expect(screen.getByRole("meter", { name: "Used of the limit, in requests" })).toHaveAttribute(
    "aria-valuetext",
    "10 of 10",
  );
  expect(screen.getByRole("img", { name: "The sliding log" })).toHaveAccessibleDescription(/10 requests in any 10 s/);
});

test("the newest entries can be read as a table", async () => {
  model.begin(aHello({ at_ms: NOW, watching: aWindow() }));
  shown();
  heard({
    log: aLog({ fresh: true, entries: [[NOW - 20_000, 1, 1], [NOW - 1_000, 2, 1], [NOW - 900, 3, 0]] }), // biome-ignore format: as sent
    requests: [aDenial({ at_ms: NOW - 500 })],
  });
  expect(screen.queryByRole("table")).not.toBeInTheDocument();
  await userEvent.click(screen.getByRole("button", { name: "As a table" }));
  const rows = within(screen.getByRole("table")).getAllByRole("row").slice(1);
  expect(rows.map((row) => row.textContent)).toEqual([
    expect.stringContaining("1 denied, not stored"),
    expect.stringMatching(/admitted0 \(taken back\)in 9\.1 s$/),
    expect.stringMatching(/admitted1in 9\.0 s$/),
    expect.stringMatching(/admitted1has left$/),
  ]);
});

test("another window can be chosen by its name", async () => {
  model.begin(aHello({ at_ms: NOW, watching: aWindow() }));
  shown();
  heard({ log: aLog({ fresh: true }), windows: [OTHER] });
  await userEvent.click(screen.getByRole("combobox", { name: "The window to watch" }));
  await userEvent.click(await screen.findByRole("option", { name: /standard-rate · tenant globex · 60 in 1 min/ }));
  expect(feed.watch).toHaveBeenLastCalledWith({ policy: "standard-rate", subject: "globex" });
});

test("compared with a fixed window, the worst span is told, labelled as a simulation", async () => {
  const windowMs = 10_000;
  const edge = Math.floor(NOW / windowMs) * windowMs; // NOW is an edge itself
  model.begin(aHello({ at_ms: edge + 1_000, watching: aWindow() }));
  shown();
  const entries = Array.from({ length: 10 }, (_, at) => [edge - 500 + at, at + 1, 1] as [number, number, number]);
  const requests = Array.from({ length: 8 }, (_, at) => aDenial({ at_ms: edge + 100 + at }));
  heard({ at_ms: edge + 1_000, log: aLog({ fresh: true, entries }), requests });
  await userEvent.click(screen.getByRole("switch", { name: "Compare with a fixed window" }));
  const compared = screen.getByRole("region", { name: "Compared with a fixed window" });
  expect(compared).toHaveTextContent("Simulation: what a fixed window would have let through");
  expect(compared).toHaveTextContent(
    "Worst 10 s: fixed let 18 through, limit 10 (1.8 times as many). The sliding log: 10.",
  );
});

test("slots that are held are shown as slots: nothing drifts, and there is no fixed window to compare with", () => {
  const window = aWindow({ policy: "user-slots", unit: "concurrent_requests", limit: 8, used: 3, remaining: 5 });
  model.begin(aHello({ at_ms: NOW, watching: window }));
  shown();
  heard({ log: aLog({ window, fresh: true }) });
  expect(screen.getByText("3 of 8 used")).toBeVisible();
  expect(screen.getByText("8 requests at the same time, for key demo-standard")).toBeVisible();
  expect(screen.queryByRole("img", { name: "The sliding log" })).not.toBeInTheDocument();
  expect(screen.queryByRole("switch")).not.toBeInTheDocument();
});

test("a policy in shadow mode is said to deny nothing", () => {
  const window = aWindow({ enforced: false });
  model.begin(aHello({ at_ms: NOW, watching: window }));
  shown();
  heard({ log: aLog({ window, fresh: true }) });
  expect(screen.getByText(/shadow mode: counts, never denies/)).toBeVisible();
});
