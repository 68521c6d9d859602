import { act, cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useSession } from "@/app/session";
import { handleShortcut } from "@/app/shortcuts";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { BANDS } from "../../test/live";
import { usePasted } from "./personas";
import { StartButton } from "./StartButton";
import { sent } from "./sent";
import { stopTraffic, trafficBusy, useTraffic } from "./store";
import { TrafficPanel } from "./TrafficPanel";

const COMPLETIONS = "POST /v1/chat/completions";
const WHO = [
  ["demo-internal", "platform", "ada", "internal"],
  ["demo-premium", "acme", "paula", "premium"],
  ["demo-standard", "globex", "stan", "standard"],
  ["demo-batch", "nightly", "bob", "batch"],
] as const;

let server: FakeServer;
let usual: ReturnType<typeof useTraffic.getState>;

beforeEach(() => {
  usual = useTraffic.getInitialState();
  server = new FakeServer()
    .on("GET /v1/models", { body: { data: [{ id: "sim-small" }, { id: "default" }, { id: "sim-large" }] } })
    .on("GET /v1/limits", { body: { windows: [], server_time_s: 1_700_000_000 } })
    .on(COMPLETIONS, { body: { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } } });
  // Once for each test, for stubs end with a test. The signal is left out: jsdom's is none to Node's Request.
  vi.stubGlobal("fetch", (input: Request | string, { signal: _, ...init }: RequestInit = {}) =>
    server.fetch(typeof input === "string" ? new Request(new URL(input, window.location.href), init) : input),
  );
  document.addEventListener("keydown", handleShortcut);
});

afterEach(() => {
  stopTraffic();
  sent.clear();
  useTraffic.setState(usual, true);
  usePasted.setState({ pasted: [] });
  document.removeEventListener("keydown", handleShortcut);
});

function shown(keys: (typeof WHO)[number][] = [...WHO]): void {
  show(<TrafficPanel />);
  act(() =>
    useSession.setState({
      settings: {
        ...{ demo: true, version: "0", bands: BANDS },
        keys: keys.map(([id, tenant, user, band]) => ({ id, key: `sk-${id}`, tenant, user, band, role: "inference" })),
      },
    }),
  );
}

/** Whose keys the requests came with. */
function senders(): string[] {
  return server.requests(COMPLETIONS).map(({ headers }) => headers.get("authorization") ?? "");
}

function button(name: string | RegExp): HTMLElement {
  return screen.getByRole("button", { name });
}

test("says who can send, of each its band, and chooses standard; nothing is sent unasked", async () => {
  shown();
  const personas = within(screen.getByRole("region", { name: "Personas" }));
  for (const [, tenant, user] of WHO) expect(personas.getByRole("button", { name: `Start ${user} of ${tenant}` })).toBeEnabled(); // biome-ignore format: a call
  expect(personas.getByRole("button", { name: /stan of globex/, expanded: true })).toBeVisible();
  expect(await screen.findByRole("combobox", { name: "Model for stan of globex" })).toBeVisible();
  expect(button(/Stop all/)).toBeDisabled();
  expect(server.requests(COMPLETIONS)).toEqual([]);
  await expectAccessible();
});

test("Send 1 and Burst 20 send as the chosen persona, with its key, and count what came of it", async () => {
  server.on(COMPLETIONS, () =>
    server.requests(COMPLETIONS).length <= 10
      ? { body: { choices: [] } }
      : { status: 429, body: { error: { message: "No.", code: "rate_limit_exceeded", policy: "key-burst" } } },
  );
  shown();
  await userEvent.click(screen.getByRole("switch", { name: "Stream replies" }));
  await userEvent.click(button("Send 1"));
  await waitFor(() => expect(senders()).toEqual(["Bearer sk-demo-standard"]));
  expect(server.last(COMPLETIONS).body).toMatchObject({ model: "sim-small", max_tokens: 4 });
  await userEvent.click(button("Burst 20"));
  await screen.findByRole("button", { name: /stan of globex.*10 allowed, 11 denied/ });
  expect(new Set(senders())).toEqual(new Set(["Bearer sk-demo-standard"]));
});

test("S sends one, B sends twenty", async () => {
  shown();
  await userEvent.keyboard("s");
  await waitFor(() => expect(senders()).toHaveLength(1));
  await userEvent.keyboard("b");
  await waitFor(() => expect(senders()).toHaveLength(21));
});

test("another persona is chosen by a click on it", async () => {
  shown();
  await userEvent.click(screen.getByRole("button", { name: /paula of acme/, expanded: false }));
  expect(screen.getByRole("button", { name: /stan of globex/, expanded: false })).toBeVisible();
  await userEvent.keyboard("s");
  await waitFor(() => expect(senders()).toEqual(["Bearer sk-demo-premium"]));
});

test("a persona sends until it is stopped, and Esc stops all; also from a slider", async () => {
  shown();
  await userEvent.click(button("Start ada of platform"));
  await waitFor(() => expect(senders()).not.toEqual([]));
  await userEvent.click(button("Stop ada of platform"));
  expect(trafficBusy()).toBe(false);

  await userEvent.click(button("Start stan of globex"));
  await waitFor(() => expect(button(/Stop all/)).toBeEnabled());
  await userEvent.keyboard("{Escape}");
  expect(button("Start stan of globex")).toBeVisible();
  expect(trafficBusy()).toBe(false);

  await userEvent.click(button("Start stan of globex"));
  screen.getByRole("slider", { name: "Rate" }).focus();
  await userEvent.keyboard("{Escape}");
  expect(button("Start stan of globex")).toBeVisible();
});

test.each([
  ["Esc", () => userEvent.keyboard("{Escape}")],
  ["leaving the screen", async () => cleanup()],
])("after %s nothing is sent, not even what waited for the list of models", async (_, end) => {
  let answer: (response: Response) => void = () => undefined;
  const asked = new Promise<Response>((resolve) => {
    answer = resolve;
  });
  const answers = globalThis.fetch;
  vi.stubGlobal("fetch", (input: Request | string, init?: RequestInit) =>
    typeof input !== "string" && input.url.endsWith("/v1/models")
      ? asked.then((each) => each.clone())
      : answers(input, init),
  );
  shown();
  await userEvent.keyboard("b");
  await end();
  await act(async () => {
    answer(Response.json({ data: [{ id: "sim-small" }] }));
    await new Promise((resolve) => setTimeout(resolve, 1_050)); // the second in which tests before have sent must be over
  });
  expect(useTraffic.getState().choices["demo-standard"]).toMatchObject({ model: "sim-small" });
  expect(senders()).toEqual([]);
});

test("leaving the screen ends it", async () => {
  const view = show(<TrafficPanel />);
  view.clear();
  act(() => useTraffic.setState({ preset: "gentle" }));
  expect(trafficBusy()).toBe(true);
  const { unmount } = await import("@testing-library/react").then(({ cleanup }) => ({ unmount: cleanup }));
  unmount();
  expect(trafficBusy()).toBe(false);
});

test("the rate and how many at once are sliders, for the keyboard too", async () => {
  shown();
  screen.getByRole("slider", { name: "Rate" }).focus();
  await userEvent.keyboard("{ArrowRight}");
  expect(screen.getByText("1.5 a second")).toBeVisible();
  screen.getByRole("slider", { name: "Concurrency" }).focus();
  await userEvent.keyboard("{End}");
  expect(screen.getByText("5 at once")).toBeVisible();
  expect(useTraffic.getState().choices["demo-standard"]).toMatchObject({ perSecond: 1.5, atOnce: 5 });
});

test("a preset says what it shows, sends as those who take part, and ends by another click", async () => {
  shown();
  await userEvent.click(button(/^Noisy neighbour/));
  expect(screen.getByRole("button", { name: /^Noisy neighbour/, pressed: true })).toBeVisible();
  expect(screen.getByRole("status")).toHaveTextContent(/^Standard asks for twelve a second/);
  await waitFor(() => expect(new Set(senders())).toEqual(new Set(["Bearer sk-demo-standard", "Bearer sk-demo-premium"]))); // biome-ignore format: a call
  await userEvent.click(button(/^Noisy neighbour/));
  expect(screen.queryByRole("button", { pressed: true })).toBeNull();
  expect(screen.getByRole("status")).toBeEmptyDOMElement();
  expect(trafficBusy()).toBe(false);
});

test("a preset that lacks a key says so, and cannot be begun", () => {
  shown([...WHO].filter(([id]) => id !== "demo-premium"));
  expect(button(/^Noisy neighbour/)).toBeDisabled();
  expect(button(/^Noisy neighbour/)).toHaveTextContent("Needs a key of premium.");
  expect(button(/^Edge burst/)).toBeEnabled();
});

test("a preset that cannot begin says why", async () => {
  server.refuse("GET /v1/models", 503, "Redis does not answer.", "keys_unavailable");
  shown();
  await userEvent.click(button(/^Gentle/));
  await waitFor(() =>
    expect(screen.getByRole("status")).toHaveTextContent("Gentle could not begin: Redis does not answer."),
  );
  expect(trafficBusy()).toBe(false);
});

test("a pasted key becomes a persona, masked; and is forgotten on demand", async () => {
  server.on("GET /v1/limits", { body: { api_key: "Ab3d", tenant: "acme", user: "peter", qos_tier: "premium", windows: [], server_time_s: 1 } }); // biome-ignore format: a call
  shown([]);
  expect(screen.getByText("No key to send with yet: add one.")).toBeVisible();
  await userEvent.click(button("Add a key"));
  await userEvent.type(screen.getByLabelText("API key"), "sk-Ab3d-verysecret");
  await userEvent.click(button("Add"));
  await screen.findByRole("button", { name: "Start peter of acme" });
  expect(screen.getByText("sk-Ab3d-••••••")).toBeVisible();
  expect(document.body.innerHTML).not.toContain("verysecret");
  expect(server.last("GET /v1/limits").headers.get("authorization")).toBe("Bearer sk-Ab3d-verysecret");
  await userEvent.click(button("Forget the key of peter of acme"));
  expect(usePasted.getState().pasted).toEqual([]);
});

test("a key that is nobody's is refused in the server's words", async () => {
  server.refuse("GET /v1/limits", 401, "No such key.", "invalid_api_key");
  shown();
  await userEvent.click(button("Add a key"));
  await userEvent.type(screen.getByLabelText("API key"), "sk-nobody-x");
  await userEvent.click(button("Add"));
  expect(await screen.findByText("No such key.")).toBeVisible();
  expect(usePasted.getState().pasted).toEqual([]);
});

test("a large Start is there until it was clicked once", async () => {
  show(<StartButton />);
  expect(screen.queryByRole("button")).toBeNull(); // no demo keys, no Start
  act(() =>
    useSession.setState({
      settings: { demo: true, version: "0", bands: BANDS, keys: WHO.map(([id, tenant, user, band]) => ({ id, key: `sk-${id}`, tenant, user, band, role: "inference" })) }, // biome-ignore format: as above
    }),
  );
  await userEvent.click(button("Start"));
  expect(screen.queryByRole("button", { name: "Start" })).toBeNull();
  await waitFor(() => expect(new Set(senders()).size).toBe(4));
});
