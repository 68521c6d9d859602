import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { ADMIN_KEY, KEY, OPERATOR_KEY } from "../../test/samples";
import { KeysPage } from "./KeysPage";

const SECRET = "sk-Ab3dEf6hIj9kLm2n-Zx8cVb7nM2qWe4rTy6uIoP1aS3dFgHjK5lQw9eRt";

let server: FakeServer;

beforeEach(() => {
  server = new FakeServer()
    .on("GET /admin/keys/demo-admin", { body: ADMIN_KEY })
    .on(`GET /admin/keys/${OPERATOR_KEY.id}`, { body: OPERATOR_KEY })
    .list("/admin/keys", [KEY, ADMIN_KEY])
    .list("/admin/users", [{ name: "paula", tenant: "acme", source: "config", version: 0, problem: null }])
    .list("/admin/tenants", [])
    .list("/admin/models", [])
    .on("POST /admin/keys", { status: 201, body: { secret: SECRET, key: KEY } })
    .on(`POST /admin/keys/${KEY.id}/rotate`, { body: { secret: SECRET, key: KEY } });
});

async function issue(user = "paula") {
  await userEvent.click(await screen.findByRole("button", { name: "Issue a key" }));
  const form = within(await screen.findByRole("dialog", { name: "Issue a key" }));
  await userEvent.type(form.getByRole("combobox", { name: "User" }), user);
  await userEvent.type(form.getByRole("combobox", { name: "Models" }), "sim-small, sim-large");
  await userEvent.click(form.getByRole("button", { name: "Issue" }));
}

it("lists keys with whose they are and whether they work", async () => {
  show(<KeysPage />);
  const row = await screen.findByRole("row", { name: new RegExp(KEY.id) });
  await waitFor(() => expect(row).toHaveTextContent(/works.*paula.*acme.*inference.*sim-small/));
  await expectAccessible();
});

describe("issuing", () => {
  it("shows the whole key once, keeps it in no cache, and forgets it", async () => {
    const queries = show(<KeysPage />);
    await issue();
    const dialog = await screen.findByRole("dialog", { name: "Store this key now" });
    const key = within(dialog).getByRole("textbox", { name: `The whole key of ${KEY.id}` });
    expect(key).toHaveValue(SECRET);
    await waitFor(() => expect(key).toHaveFocus());
    await expectAccessible();
    expect(server.last("POST /admin/keys").body).toEqual({
      user: "paula",
      role: "inference",
      models: ["sim-small", "sim-large"],
      expires_at: null,
      id: null,
    });
    const cached = [...queries.getQueryCache().getAll(), ...queries.getMutationCache().getAll()].map(
      (each) => each.state,
    );
    expect(JSON.stringify(cached)).not.toContain(SECRET);
    await userEvent.click(within(dialog).getByRole("button", { name: "I have stored it" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(screen.queryByDisplayValue(SECRET)).not.toBeInTheDocument();
    expect(JSON.stringify([{ ...localStorage }, { ...sessionStorage }, window.location.href])).not.toContain(SECRET);
  });

  it("does not lose the key to a slip of the hand", async () => {
    show(<KeysPage />);
    await issue();
    await screen.findByRole("dialog", { name: "Store this key now" });
    await userEvent.keyboard("{Escape}");
    expect(screen.getByDisplayValue(SECRET)).toBeInTheDocument();
    expect(screen.getByText(/closing forgets it/)).toBeInTheDocument();
    await waitFor(() => expect(screen.getByRole("button", { name: "I have stored it" })).toHaveFocus());
  });

  it("says in the server's words, at the field, what is wrong", async () => {
    const message = "Key 'x' names user 'nobody', which does not exist: create that first.";
    server.refuse("POST /admin/keys", 409, message, "unknown_reference");
    show(<KeysPage />);
    await issue("nobody");
    const user = within(screen.getByRole("dialog")).getByRole("combobox", { name: "User" });
    await waitFor(() => expect(user).toHaveAccessibleDescription(message));
  });

  it("wants to know whose it is", async () => {
    show(<KeysPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Issue a key" }));
    await userEvent.click(screen.getByRole("button", { name: "Issue" }));
    expect(screen.getByText("Say whose key it is.")).toBeInTheDocument();
    expect(server.requests("POST /admin/keys")).toEqual([]);
  });
});

it("rotates with an overlap, and shows the new key once", async () => {
  show(<KeysPage />);
  await userEvent.click(await screen.findByRole("button", { name: KEY.id }));
  const overlap = await screen.findByRole("textbox", { name: "Old secret works for" });
  await userEvent.clear(overlap);
  await userEvent.type(overlap, "2h");
  await userEvent.click(screen.getByRole("button", { name: "Rotate" }));
  expect(await screen.findByDisplayValue(SECRET)).toBeInTheDocument();
  const asked = server.last(`POST /admin/keys/${KEY.id}/rotate`);
  expect(asked.body).toEqual({ overlap: "2h" });
  expect(asked.headers.get("if-match")).toBe('"12"');
});

it("changes what a key may do, at the version that was read", async () => {
  server.on(`PUT /admin/keys/${KEY.id}`, { body: { ...KEY, models: null, version: 13 } });
  show(<KeysPage />);
  await userEvent.click(await screen.findByRole("button", { name: KEY.id }));
  await userEvent.click(await screen.findByRole("button", { name: "Change what it may do" }));
  await userEvent.clear(within(screen.getByRole("dialog")).getByRole("combobox", { name: "Models" }));
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  const asked = server.last(`PUT /admin/keys/${KEY.id}`);
  expect(asked.body).toEqual({
    user: "paula",
    role: "inference",
    models: null,
    expires_at: "2099-01-01T00:00:00.000Z",
  });
  expect(asked.headers.get("if-match")).toBe('"12"');
});

it("lets an operator revoke, after asking, and nothing else", async () => {
  server.on(`POST /admin/keys/${KEY.id}/revoke`, { body: { ...KEY, revoked: true } });
  show(<KeysPage />, `sk-${OPERATOR_KEY.id}-secret`);
  await userEvent.click(await screen.findByRole("button", { name: KEY.id }));
  expect(screen.queryByRole("button", { name: "Issue a key" })).not.toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Rotate" })).not.toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Delete" })).not.toBeInTheDocument();
  await userEvent.click(await screen.findByRole("button", { name: "Revoke" }));
  const confirm = await screen.findByRole("alertdialog", { name: `Revoke ${KEY.id}?` });
  expect(confirm).toHaveAccessibleDescription(/nothing makes it work again/);
  expect(server.requests(`POST /admin/keys/${KEY.id}/revoke`)).toEqual([]);
  await userEvent.click(within(confirm).getByRole("button", { name: "Revoke" }));
  await waitFor(() => expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument());
  expect(server.requests(`POST /admin/keys/${KEY.id}/revoke`)).toHaveLength(1);
});

it("filters as the server can", async () => {
  show(<KeysPage />);
  await userEvent.type(await screen.findByRole("combobox", { name: "Tenant" }), "acme");
  await waitFor(() => expect(server.last("GET /admin/keys").query.get("tenant")).toBe("acme"));
  server.list("/admin/keys", []);
  await userEvent.type(screen.getByRole("combobox", { name: "User" }), "x");
  expect(await screen.findByText("No key fits these filters.")).toBeInTheDocument();
});
