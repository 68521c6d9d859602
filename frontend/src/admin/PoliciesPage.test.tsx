import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { useSession } from "@/app/session";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { ADMIN_KEY, API_POLICY, DRY_RUN, FILE_POLICY, OPERATOR_KEY, WINDOW } from "../../test/samples";
import { PoliciesPage } from "./PoliciesPage";

let server: FakeServer;

beforeEach(() => {
  server = new FakeServer()
    .on("GET /admin/keys/demo-admin", { body: ADMIN_KEY })
    .on(`GET /admin/keys/${OPERATOR_KEY.id}`, { body: OPERATOR_KEY })
    .list("/admin/policies", [API_POLICY, FILE_POLICY])
    .list("/admin/usage", [WINDOW])
    .list("/admin/keys", [ADMIN_KEY])
    .list("/admin/models", [])
    .on("POST /admin/dry-run", { body: DRY_RUN });
});

async function open(name: string) {
  await userEvent.click(await screen.findByRole("button", { name }));
  return screen.findByRole("dialog");
}

async function edit() {
  await open("acme-burst");
  await userEvent.click(screen.getByRole("button", { name: "Edit" }));
  return screen.findByRole("textbox", { name: "Limit" });
}

async function type(box: HTMLElement, text: string) {
  await userEvent.clear(box);
  await userEvent.type(box, text);
}

describe("the list", () => {
  it("says what each policy limits, whom, and how full its fullest window is", async () => {
    show(<PoliciesPage />);
    const row = await screen.findByRole("row", { name: /standard-rate/ });
    expect(row).toHaveTextContent("60 requests in any 1 min");
    expect(row).toHaveTextContent("band standard");
    expect(row).toHaveTextContent("file");
    const meter = await within(row).findByRole("meter", { name: "standard-rate, globex: used" });
    expect(meter).toHaveAttribute("aria-valuetext", "45 of 60");
    await expectAccessible();
  });

  it("finds policies by what they say", async () => {
    show(<PoliciesPage />);
    await userEvent.type(await screen.findByRole("searchbox", { name: "Search" }), "tenant acme");
    expect(screen.getByRole("button", { name: "acme-burst" })).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "standard-rate" })).not.toBeInTheDocument();
    expect(screen.getByText("1 of 2 policies.")).toBeInTheDocument();
  });

  it("goes on behind the cursor", async () => {
    server.on("GET /admin/policies", ({ query }) =>
      query.get("cursor") === "abc"
        ? { body: { items: [FILE_POLICY], next_cursor: null } }
        : { body: { items: [API_POLICY], next_cursor: "abc" } },
    );
    show(<PoliciesPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Load more" }));
    expect(await screen.findByRole("button", { name: "standard-rate" })).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Load more" })).not.toBeInTheDocument();
  });

  it("says in words that it cannot be read, and reads it again", async () => {
    server.refuse("GET /admin/policies", 503, "The catalogue cannot be reached now.", "catalogue_unavailable");
    show(<PoliciesPage />);
    expect(await screen.findByRole("alert")).toHaveTextContent("The catalogue cannot be reached now.");
    server.list("/admin/policies", []);
    await userEvent.click(screen.getByRole("button", { name: "Read again" }));
    expect(await screen.findByText("No policy fits these filters.")).toBeInTheDocument();
  });
});

describe("rights", () => {
  it("tells a key without the right why it sees nothing", async () => {
    const message = "This API key has the role inference; this needs admin or operator.";
    server.refuse("GET /admin/keys/demo-batch", 403, message, "wrong_role");
    show(<PoliciesPage />, "sk-demo-batch");
    expect(await screen.findByRole("alert")).toHaveTextContent(message);
    expect(server.requests("GET /admin/policies")).toEqual([]);
    await userEvent.click(screen.getByRole("button", { name: "Use another key" }));
    expect(useSession.getState().key).toBe("");
  });

  it("offers an operator nothing that the server would refuse", async () => {
    show(<PoliciesPage />, `sk-${OPERATOR_KEY.id}-secret`);
    expect(await screen.findByRole("note")).toHaveTextContent("an operator’s key");
    expect(screen.queryByRole("button", { name: "New policy" })).not.toBeInTheDocument();
    await open("acme-burst");
    expect(screen.queryByRole("button", { name: "Edit" })).not.toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Delete" })).not.toBeInTheDocument();
  });
});

describe("editing", () => {
  it("previews a limit in words before it is saved, and saves it for the version that was read", async () => {
    server.on("PUT /admin/policies/acme-burst", { body: { ...API_POLICY, limit: 5, version: 13 } });
    show(<PoliciesPage />);
    const limit = await edit();
    await waitFor(() => expect(limit).toHaveFocus());
    await type(limit, "5");
    const preview = screen.getByRole("region", { name: "Preview" });
    await waitFor(() => expect(server.last("POST /admin/dry-run").body).toMatchObject({ policy: { limit: 5 } }));
    // What was there for the limit before it may go while one looks.
    await waitFor(() => {
      expect(within(preview).getByText(/7 of them \(17 %\) would have been denied/)).toBeInTheDocument();
      expect(within(preview).getByRole("row", { name: /acme 42 7 \(17 %\)/ })).toBeInTheDocument();
    });
    await expectAccessible();
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    const saved = server.last("PUT /admin/policies/acme-burst");
    expect(saved.headers.get("if-match")).toBe('"12"');
    expect(saved.body).toMatchObject({ name: "acme-burst", limit: 5, window: "10s", match: { tenant: ["acme"] } });
    expect(saved.body).not.toHaveProperty("source");
  });

  it("explains that others were faster, reads again and keeps what was typed", async () => {
    const message = "Policy 'acme-burst' is at version 13, not 12: read it again and repeat the change.";
    server.refuse("PUT /admin/policies/acme-burst", 412, message, "version_conflict");
    server.on("GET /admin/policies/acme-burst", { body: { ...API_POLICY, window: "1m", limit: 50, version: 13 } });
    show(<PoliciesPage />);
    await type(await edit(), "7");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("Somebody else has changed this policy");
    expect(alert).toHaveTextContent(message);
    await userEvent.click(within(alert).getByRole("button", { name: "Read again" }));
    const changes = await screen.findByRole("group", { name: "Changed meanwhile" });
    expect(within(changes).getByRole("row", { name: "window 10s 1m" })).toBeInTheDocument();
    expect(screen.getByRole("textbox", { name: "Limit" })).toHaveValue("7");
    expect(screen.getByRole("textbox", { name: "Window" })).toHaveValue("1m");
    server.on("PUT /admin/policies/acme-burst", { body: { ...API_POLICY, limit: 7, version: 14 } });
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    const saved = server.last("PUT /admin/policies/acme-burst");
    expect(saved.headers.get("if-match")).toBe('"13"');
    expect(saved.body).toMatchObject({ limit: 7, window: "1m" });
  });

  it("says at the field what is wrong with it, before and after the server has seen it", async () => {
    show(<PoliciesPage />);
    const limit = await edit();
    await type(limit, "many");
    expect(limit).toBeInvalid();
    expect(limit).toHaveAccessibleDescription(/whole number from 1/);
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    expect(server.requests("PUT /admin/policies/acme-burst")).toEqual([]);
    server.refuse("PUT /admin/policies/acme-burst", 422, "body.window: Too long for this server", "invalid_parameter");
    await type(limit, "9");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    const window = screen.getByRole("textbox", { name: "Window" });
    await waitFor(() => expect(window).toHaveAccessibleDescription("Too long for this server"));
  });

  it("says where no log can answer", async () => {
    server.refuse("POST /admin/dry-run", 409, "Run the policy in shadow mode.", "no_history", "from");
    show(<PoliciesPage />);
    await edit();
    expect(await screen.findByText("No log can tell. Run the policy in shadow mode.")).toBeInTheDocument();
  });
});

it("deletes only what was confirmed, at the version that was read", async () => {
  server.on("DELETE /admin/policies/acme-burst", { status: 204 });
  show(<PoliciesPage />);
  await open("acme-burst");
  await userEvent.click(screen.getByRole("button", { name: "Delete" }));
  const confirm = await screen.findByRole("alertdialog", { name: "Delete acme-burst?" });
  expect(server.requests("DELETE /admin/policies/acme-burst")).toEqual([]);
  await userEvent.click(within(confirm).getByRole("button", { name: "Delete" }));
  await waitFor(() => expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument());
  expect(server.last("DELETE /admin/policies/acme-burst").headers.get("if-match")).toBe('"12"');
});

describe("a policy of the file", () => {
  it("says where to change it, and makes one that overrides it for a subject", async () => {
    server.on("POST /admin/policies", { status: 201, body: { ...API_POLICY, name: "standard-rate-globex" } });
    show(<PoliciesPage />);
    const dialog = await open("standard-rate");
    expect(dialog).toHaveTextContent("read-only here");
    expect(dialog).toHaveTextContent("serve deploy serve_config.yaml");
    await userEvent.click(await screen.findByRole("button", { name: "Override for globex" }));
    const limit = await screen.findByRole("textbox", { name: "Limit" });
    await waitFor(() => expect(limit).toHaveFocus());
    expect(screen.getByRole("combobox", { name: "Tenant" })).toHaveValue("globex");
    expect(screen.getByText(/replaces for that subject/)).toHaveTextContent("standard-rate");
    await type(limit, "10");
    await waitFor(() =>
      expect(server.last("POST /admin/dry-run").body).toMatchObject({ from: "standard-rate", policy: { limit: 10 } }),
    );
    await userEvent.click(screen.getByRole("button", { name: "Create" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(server.last("POST /admin/policies").body).toMatchObject({
      name: "standard-rate-globex",
      scope: "TENANT",
      limit: 10,
      match: { tenant: ["globex"], qos_tier: ["standard"] },
    });
  });

  it("wants to know whom it is overridden for, and names the new policy after them", async () => {
    show(<PoliciesPage />);
    await open("standard-rate");
    await userEvent.click(screen.getByRole("button", { name: "Override it for one subject…" }));
    const tenant = await screen.findByRole("combobox", { name: "Tenant" });
    await waitFor(() => expect(tenant).toHaveFocus());
    await userEvent.click(screen.getByRole("button", { name: "Create" }));
    expect(tenant).toHaveAccessibleDescription("Say whose limit it is.");
    expect(server.requests("POST /admin/policies")).toEqual([]);
    await userEvent.type(tenant, "initech");
    expect(screen.getByRole("textbox", { name: "Name of the policy" })).toHaveValue("standard-rate-initech");
    expect(
      screen.getByText("Tenant initech: at most 60 requests in any 1 min, where the band is standard."),
    ).toBeInTheDocument();
  });
});

it("explains which policies apply to a key and a model", async () => {
  const items = [{ applies: true, reason: "its match holds", subject: "globex", policy: FILE_POLICY }];
  const body = {
    api_key: "demo-standard",
    user: "stan",
    tenant: "globex",
    qos_tier: "standard",
    model: "sim-large",
    items,
  };
  server.on("GET /admin/explain", { body });
  show(<PoliciesPage />);
  await userEvent.type(await screen.findByRole("combobox", { name: "Id of a key" }), "demo-standard");
  await userEvent.type(screen.getByRole("combobox", { name: "Model" }), "sim-large");
  const table = await screen.findByRole("group", { name: "Policies for this key and model" });
  expect(
    within(table).getByRole("row", { name: /standard-rate its match holds 60 requests in any 1 min globex/ }),
  ).toBeInTheDocument();
});
