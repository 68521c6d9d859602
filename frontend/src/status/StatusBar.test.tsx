import { act, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useSession } from "@/app/session";
import { handleShortcut } from "@/app/shortcuts";
import type { FeedState } from "@/live/feed";
import { changed, feed, model } from "@/live/store";
import { aFrame, aHello } from "../../test/live";
import { StatusBar } from "./StatusBar";

function becomes(state: FeedState): void {
  act(() => {
    feed.state = state;
    changed();
  });
}

beforeEach(() => {
  vi.stubGlobal("fetch", () => new Promise(() => undefined));
  useSession.setState({ key: "sk-x", settings: { demo: true, version: "0", keys: [], bands: [] } });
});

afterEach(() => {
  feed.use("");
  model.clear();
  vi.unstubAllGlobals();
});

test("live: Redis, replicas, how late the news are, and whose traffic it is", () => {
  render(<StatusBar />);
  model.begin(aHello());
  model.take(aFrame({ replicas: 3, lag_ms: 38 }));
  becomes({ is: "live", scope: "everybody" });
  const status = screen.getByRole("status");
  expect(status).toHaveTextContent("ConnectedRedis ok3 replicaslag 38 ms");
  expect(status).toHaveTextContent("everybody's traffic");
  expect(status).not.toHaveTextContent("1 in");
});

test("Redis away, one replica, sampled, one tenant's share: each is said", () => {
  render(<StatusBar />);
  model.begin(aHello({ tenant: "acme" }));
  model.take(aFrame({ replicas: 1, sampled: 8 }));
  becomes({ is: "live", scope: "tenant" });
  const status = screen.getByRole("status");
  expect(status).toHaveTextContent("1 replica");
  expect(status).toHaveTextContent("showing 1 in 8");
  expect(status).toHaveTextContent("tenant acme");
  act(() => {
    model.take(aFrame({ replicas: 0, store: "unreachable" }));
    changed();
  });
  expect(status).toHaveTextContent("Redis unreachable");
  expect(status).not.toHaveTextContent("replica");
});

test("not connected: in how many seconds it is tried again, and why", () => {
  render(<StatusBar />);
  becomes({ is: "away", why: "The server is restarting.", retryInMs: 4_000, retryAt: performance.now() + 4_000 });
  expect(screen.getByRole("status")).toHaveTextContent("Not connected, again in 4 s");
  expect(screen.getByTitle("The server is restarting.")).toBeVisible();
  becomes({ is: "connecting" });
  expect(screen.getByRole("status")).toHaveTextContent("Connecting");
});

test("it counts down although the server's time was never heard", async () => {
  vi.useFakeTimers();
  render(<StatusBar />);
  becomes({ is: "away", why: "No.", retryInMs: 4_000, retryAt: performance.now() + 4_000 });
  await act(() => vi.advanceTimersByTimeAsync(2_500));
  expect(screen.getByRole("status")).toHaveTextContent("Not connected, again in 2 s");
  await act(() => vi.advanceTimersByTimeAsync(2_000));
  expect(screen.getByRole("status")).toHaveTextContent("Not connected, trying");
  vi.useRealTimers();
});

test("a refused key is said to be refused, and there is nothing to pause, by the key P neither", async () => {
  document.addEventListener("keydown", handleShortcut);
  render(<StatusBar />);
  becomes({ is: "refused", why: "No.", status: 401 });
  expect(screen.getByRole("status")).toHaveTextContent("Key refused");
  expect(screen.queryByRole("button", { name: "Pause" })).not.toBeInTheDocument();
  await userEvent.keyboard("p");
  expect(feed.state.is).toBe("refused");
  useSession.setState({ key: "" });
  becomes({ is: "idle" });
  await userEvent.keyboard("p");
  expect(feed.state.is).toBe("idle");
  document.removeEventListener("keydown", handleShortcut);
});

test("paused and resumed by the button, and by the key P", async () => {
  document.addEventListener("keydown", handleShortcut);
  render(<StatusBar />);
  act(() => feed.use("sk-other"));
  await userEvent.click(screen.getByRole("button", { name: "Pause" }));
  expect(feed.state.is).toBe("paused");
  expect(screen.getByRole("status")).toHaveTextContent("Paused");
  await userEvent.keyboard("p");
  expect(feed.state.is).toBe("connecting");
  expect(screen.getByRole("button", { name: "Pause" })).toBeVisible();
  document.removeEventListener("keydown", handleShortcut);
});

test("who has signed in can sign out; in the demo nobody has", async () => {
  const { rerender } = render(<StatusBar />);
  expect(screen.queryByRole("button", { name: "Sign out" })).not.toBeInTheDocument();
  useSession.setState({ settings: { demo: false, version: "0", keys: [], bands: [] } });
  rerender(<StatusBar />);
  await userEvent.click(screen.getByRole("button", { name: "Sign out" }));
  expect(useSession.getState().key).toBe("");
});
