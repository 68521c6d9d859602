import { act, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import { useSession } from "@/app/session";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { ChatPage } from "./ChatPage";
import { forget } from "./conversation";

const STANDARD = {
  ...{ id: "demo-standard", key: "sk-demo-standard", tenant: "globex", user: "stan" },
  ...{ band: "standard", role: "inference" as const },
};

let server: FakeServer;

beforeEach(() => {
  forget();
  server = new FakeServer();
  server.on("GET /v1/models", { body: { object: "list", data: [{ id: "small" }, { id: "large" }] } });
});

async function write(text: string) {
  const user = userEvent.setup();
  show(<ChatPage />);
  act(() => useSession.setState({ settings: { demo: true, version: "0", keys: [STANDARD], bands: ["standard"] } }));
  await screen.findByRole("combobox", { name: "Model" });
  await vi.waitFor(() => expect(screen.getByRole("combobox", { name: "Model" })).toHaveTextContent("small"));
  await user.type(screen.getByRole("textbox", { name: "Message" }), text);
  return user;
}

it("shows a denial in words, counts down, and sends again once there is room", async () => {
  server.on("POST /v1/chat/completions", {
    status: 429,
    headers: { "retry-after-ms": "700", "ratelimit-policy": '"key-burst";q=10;w=10', ratelimit: '"key-burst";r=0;t=1' },
    body: {
      error: { message: "no", type: "requests", code: "rate_limit_exceeded", policy: "key-burst", scope: "API_KEY" },
    },
  });
  const user = await write("Hello{Enter}");
  const log = screen.getByRole("log", { name: "Conversation" });
  expect(await within(log).findByText("Denied by key-burst")).toBeVisible();
  expect(within(log).getByText("The policy key-burst allows each API key 10 requests in any 10 s.")).toBeVisible();
  const again = within(log).getByRole("button", { name: "Send again" });
  expect(again).toBeDisabled();
  expect(within(log).getByRole("timer")).toHaveTextContent(/^in 0\.\d s$/);
  await vi.waitFor(() => expect(again).toBeEnabled(), 3_000);
  expect(server.requests("POST /v1/chat/completions")).toHaveLength(1);
  await user.click(again);
  await vi.waitFor(() => expect(server.requests("POST /v1/chat/completions")).toHaveLength(2));
});

it("sends again by itself where it was asked to", async () => {
  server.on("POST /v1/chat/completions", {
    status: 429,
    headers: { "retry-after-ms": "400" },
    body: {
      error: { message: "no", type: "requests", code: "rate_limit_exceeded", policy: "key-burst", scope: "API_KEY" },
    },
  });
  const user = await write("Hello{Enter}");
  await user.click(await screen.findByRole("switch", { name: /by itself/ }));
  await vi.waitFor(() => expect(server.requests("POST /v1/chat/completions").length).toBeGreaterThan(1), 3_000);
  act(forget);
});

it("begins a new line with Shift, and sends the key that was chosen, never showing it", async () => {
  server.on("POST /v1/chat/completions", {
    status: 503,
    body: { error: { message: "Not now.", code: "model_unavailable" } },
  });
  const user = await write("One{Shift>}{Enter}{/Shift}two");
  expect(server.requests("POST /v1/chat/completions")).toHaveLength(0);
  await user.click(screen.getByRole("button", { name: "Send" }));
  expect(await screen.findByText("No replica of the model")).toBeVisible();
  const [asked] = server.requests("POST /v1/chat/completions");
  expect(asked?.headers.get("authorization")).toBe("Bearer sk-demo-standard");
  expect(asked?.body).toMatchObject({ messages: [{ role: "user", content: "One\ntwo" }], stream: true });
  await expectAccessible();
});
