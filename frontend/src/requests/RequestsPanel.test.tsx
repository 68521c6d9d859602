import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useSession } from "@/app/session";
import { handleShortcut } from "@/app/shortcuts";
import { changed, model } from "@/live/store";
import { usePasted } from "@/traffic/personas";
import { sent } from "@/traffic/sent";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { aDenial, aFrame, aRequest, aWindow, BANDS } from "../../test/live";
import { aDenied, aSent } from "../../test/sent";
import { RequestsPanel } from "./RequestsPanel";

beforeEach(() => {
  new FakeServer();
  document.addEventListener("keydown", handleShortcut);
});

afterEach(async () => {
  sent.clear();
  await vi.waitFor(() => expect(sent.now().requests).toEqual([])); // it is told a moment later
  model.clear();
  usePasted.setState({ pasted: [] });
  document.removeEventListener("keydown", handleShortcut);
});

function shown(): void {
  show(<RequestsPanel />);
  act(() =>
    useSession.setState({
      settings: {
        ...{ demo: true, version: "0", bands: BANDS },
        keys: [{ id: "demo-standard", key: "sk-demo-standard", tenant: "globex", user: "stan", band: "standard", role: "inference" }], // biome-ignore format: a list
      },
    }),
  );
}

async function has(...requests: ReturnType<typeof aSent>[]): Promise<void> {
  act(() => {
    for (const request of requests) sent.begin(request);
  });
  await waitFor(() => expect(rows()).toHaveLength(Math.min(requests.length, 50)));
}

function rows(): HTMLElement[] {
  const table = screen.queryByRole("group", { name: "The last requests" });
  return table ? within(table).getAllByRole("row").slice(1) : [];
}

const ALLOWED = aSent({
  ...{ id: "one", outcome: "allowed", status: 200, reply: '{"choices":[]}', totalMs: 120, firstMs: 40 },
  tokens: { input: 9, output: 4 },
});
const DENIED = aDenied({ id: "two" });

test("before anything was sent it says so", async () => {
  shown();
  expect(screen.getByText("This page has sent nothing yet.")).toBeVisible();
  await userEvent.click(screen.getByRole("button", { name: "Everybody" }));
  expect(screen.getByText("Nobody has sent anything since this page listens.")).toBeVisible();
});

test("each row tells who, what became of it by word, and which policy denied; newest first", async () => {
  shown();
  await has(ALLOWED, DENIED);
  expect(rows()[0]).toHaveTextContent(/stan of globex.*standard.*sim-small.*denied429.*key-burst/);
  expect(rows()[1]).toHaveTextContent(/allowed.*40 ms120 ms/);
  await expectAccessible();
});

test("can be narrowed to one outcome", async () => {
  shown();
  await has(ALLOWED, DENIED);
  await userEvent.click(screen.getByRole("combobox", { name: "Outcome" }));
  await userEvent.click(await screen.findByRole("option", { name: "Denied" }));
  await waitFor(() => expect(rows()).toHaveLength(1));
  expect(rows()[0]).toHaveTextContent("key-burst");
  await userEvent.click(screen.getByRole("combobox", { name: "Outcome" }));
  await userEvent.click(await screen.findByRole("option", { name: "Failed" }));
  expect(await screen.findByText("None of the last requests ended so.")).toBeVisible();
});

test("J and K go through the rows, Enter opens one, Esc closes it and leaves one where one was", async () => {
  shown();
  await has(ALLOWED, DENIED);
  const first = () => within(rows()[0] as HTMLElement).getByRole("button");
  const second = () => within(rows()[1] as HTMLElement).getByRole("button");
  await userEvent.keyboard("j");
  expect(first()).toHaveFocus();
  await userEvent.keyboard("j");
  expect(second()).toHaveFocus();
  await userEvent.keyboard("j"); // there is no third
  expect(second()).toHaveFocus();
  await userEvent.keyboard("k");
  expect(first()).toHaveFocus();
  await userEvent.keyboard("{Enter}");
  expect(await screen.findByRole("dialog", { name: "Denied by key-burst" })).toBeVisible();
  await userEvent.keyboard("{Escape}");
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  await waitFor(() => expect(first()).toHaveFocus());
});

test("while one is at a row, the rows stay where they are, and those that came are counted", async () => {
  shown();
  await has(ALLOWED, DENIED);
  await userEvent.keyboard("j");
  act(() => sent.begin(aSent({ id: "three" })));
  expect(await screen.findByText("Held still while you are at it: 1 newer.")).toBeVisible();
  expect(rows()).toHaveLength(2);
  act(() => (document.activeElement as HTMLElement).blur());
  await waitFor(() => expect(rows()).toHaveLength(3));
});

test("fifty rows first, all two hundred on demand", async () => {
  shown();
  await has(...Array.from({ length: 230 }, () => aSent()));
  await userEvent.click(await screen.findByRole("button", { name: "Show all 200" }));
  expect(rows()).toHaveLength(200);
  await userEvent.click(screen.getByRole("button", { name: "Show 50" }));
  expect(rows()).toHaveLength(50);
});

async function opened(name: string): Promise<ReturnType<typeof within>> {
  await userEvent.click(within(rows()[0] as HTMLElement).getByRole("button"));
  return within(await screen.findByRole("dialog", { name }));
}

test("a denial: why, what is left of each limit, what was sent, what came", async () => {
  shown();
  await has(DENIED);
  const dialog = await opened("Denied by key-burst");
  expect(dialog.getByText("The policy key-burst allows each API key 10 requests in any 10 s.")).toBeVisible();
  const left = within(dialog.getByRole("region", { name: "What is left of its limits" })).getAllByRole("listitem");
  expect(left.map((item) => item.textContent)).toEqual([
    "everyone: 2,990 of 3,000 requests left in any 1 min; room comes back within 1 min.",
    "key-burst: 0 of 10 requests left in any 10 s; room comes back within 4.0 s.",
    "user-slots: 8 of 8 at once left.",
  ]);
  expect(dialog.getByRole("group", { name: "Request, in full" })).toHaveTextContent("authorization: Bearer sk-demo-standard"); // biome-ignore format: a call
  expect(dialog.getByRole("group", { name: "Reply, in full" })).toHaveTextContent(/^429 .*retry-after-ms: 3120.*"code": "rate_limit_exceeded"/); // biome-ignore format: a call
  await expectAccessible();
});

test("its curl is copied; where that may not be, it says so", async () => {
  const user = userEvent.setup(); // brings a clipboard
  shown();
  await has(ALLOWED);
  const dialog = await opened("Allowed");
  await user.click(dialog.getByRole("button", { name: "Copy" }));
  expect(await dialog.findByRole("button", { name: "Copied" })).toBeVisible();
  expect(await navigator.clipboard.readText()).toContain("-H 'Authorization: Bearer sk-demo-standard'");
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("not allowed"));
  await user.click(dialog.getByRole("button", { name: "Copied" }));
  expect(await dialog.findByRole("alert")).toHaveTextContent("select the text instead");
});

test("a pasted key is shown nowhere: masked in the request, a variable in curl", async () => {
  usePasted.getState().add({
    ...{ id: "Ab3d", name: "peter of acme", key: "sk-Ab3d-verysecret", tenant: "acme", user: "peter" },
    ...{ band: "premium", demo: false },
  });
  shown();
  await has(aSent({ ...ALLOWED, id: "own", persona: "Ab3d", name: "peter of acme" }));
  const dialog = await opened("Allowed");
  expect(dialog.getByRole("group", { name: "Request, in full" })).toHaveTextContent("Bearer sk-Ab3d-••••••");
  expect(dialog.getByRole("group", { name: "The same with curl, in full" })).toHaveTextContent('"Authorization: Bearer $SLUICE_KEY"'); // biome-ignore format: a call
  expect(document.body.innerHTML).not.toContain("verysecret");
});

test("a key that was forgotten meanwhile is not invented", async () => {
  shown();
  await has(aSent({ ...ALLOWED, id: "own", persona: "gone" }));
  const dialog = await opened("Allowed");
  expect(dialog.getByRole("group", { name: "Request, in full" })).toHaveTextContent("(a key that is forgotten)");
});

test("everybody's: what the server decided, and nothing of what stands in it", async () => {
  shown();
  act(() => {
    model.take(aFrame({ requests: [aRequest(), aDenial({ id: "theirs" })], windows: [aWindow()] }));
    changed();
  });
  await userEvent.click(screen.getByRole("button", { name: "Everybody" }));
  await waitFor(() => expect(rows()).toHaveLength(2));
  const dialog = await opened("Denied by key-burst");
  expect(dialog.getByText("The policy key-burst allows each API key 10 requests in any 10 s.")).toBeVisible();
  expect(dialog.getByText(/never what stands in a request or a reply/)).toBeVisible();
  expect(dialog.queryByRole("group", { name: "Request, in full" })).toBeNull();
});

test("its ending may come while it is open", async () => {
  shown();
  await has(aSent({ id: "open" }));
  await opened("Under way");
  act(() => sent.end({ ...ALLOWED, id: "open" }));
  expect(await screen.findByRole("dialog", { name: "Allowed" })).toHaveTextContent("9 in, 4 out");
});
