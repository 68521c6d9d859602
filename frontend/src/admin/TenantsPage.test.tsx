import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it } from "vitest";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { ADMIN_KEY, TENANT, WINDOW } from "../../test/samples";
import { TenantsPage } from "./TenantsPage";

const ATTAINED = {
  requests: 1200,
  success_rate: 0.9992,
  ttft_p50_ms: 45.3,
  ttft_p95_ms: 118.6,
  latency_p50_ms: 310.5,
  latency_p95_ms: 812.9,
  met: true,
};

const PAULA = { name: "paula", tenant: "acme", source: "api", version: 4, problem: null };

let server: FakeServer;

beforeEach(() => {
  server = new FakeServer()
    .on("GET /admin/keys/demo-admin", { body: ADMIN_KEY })
    .list("/admin/tenants", [TENANT, { ...TENANT, name: "globex", qos_tier: "standard", source: "config" }])
    .list("/admin/users", [PAULA])
    .list("/admin/usage", [WINDOW, { ...WINDOW, policy: "premium-rate", subject: "acme", used: 3, limit: 300 }])
    .on("GET /admin/sla", {
      body: {
        targets: { premium: { ttft_p95_ms: 500, success_rate: 0.999 } },
        tenants: [
          { tenant: "acme", qos_tier: "premium", windows: { "1m": { ...ATTAINED, met: false }, "1h": ATTAINED } },
        ],
      },
    });
});

async function open(name: string) {
  await userEvent.click(await screen.findByRole("button", { name }));
  return within(await screen.findByRole("dialog", { name }));
}

it("lists tenants with band, weight, use and service level", async () => {
  show(<TenantsPage />);
  const row = await screen.findByRole("row", { name: /acme/ });
  await waitFor(() => expect(row).toHaveTextContent(/premium.*2.*3 of 300.*premium-rate.*met.*99.92 % complete/));
  expect(screen.getByRole("row", { name: /globex/ })).toHaveTextContent("no requests");
  await expectAccessible();
});

it("says what was agreed with a tenant and what it got", async () => {
  show(<TenantsPage />);
  const dialog = await open("acme");
  expect(await dialog.findByText(/first token within 500 ms for 95 in 100, 99.9 % complete/)).toBeInTheDocument();
  expect(dialog.getByRole("row", { name: /Last minute missed 1,200 99.92 %/ })).toBeInTheDocument();
  expect(dialog.getByRole("row", { name: /Last hour met 1,200/ })).toBeInTheDocument();
  expect(server.last("GET /admin/usage").query.get("tenant")).toBe("acme");
  await expectAccessible();
});

it("says who still names a tenant that is to go", async () => {
  const message = "Tenant 'acme' is named by user 'paula': change or delete those first.";
  server.refuse("DELETE /admin/tenants/acme", 409, message, "in_use");
  show(<TenantsPage />);
  const dialog = await open("acme");
  await userEvent.click(dialog.getByRole("button", { name: "Delete" }));
  const confirm = within(await screen.findByRole("alertdialog", { name: "Delete acme?" }));
  await userEvent.click(confirm.getByRole("button", { name: "Delete" }));
  expect(await confirm.findByRole("alert")).toHaveTextContent(message);
});

it("creates a tenant, and says at the field what the server does not like", async () => {
  server.refuse(
    "POST /admin/tenants",
    422,
    "body.name: String should match a pattern (got 'a b')",
    "invalid_parameter",
  );
  show(<TenantsPage />);
  await userEvent.click(await screen.findByRole("button", { name: "New tenant" }));
  const name = await screen.findByRole("textbox", { name: "Name" });
  await waitFor(() => expect(name).toHaveFocus());
  await userEvent.type(name, "a b");
  await userEvent.click(screen.getByRole("button", { name: "Create" }));
  await waitFor(() => expect(name).toHaveAccessibleDescription("String should match a pattern (got 'a b')"));
  server.on("POST /admin/tenants", { status: 201, body: { ...TENANT, name: "ab" } });
  await userEvent.clear(name);
  await userEvent.type(name, "ab");
  await userEvent.click(screen.getByRole("button", { name: "Create" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(server.last("POST /admin/tenants").body).toEqual({ name: "ab", qos_tier: "standard", weight: 1 });
});

it("changes a weight at the version that was read", async () => {
  server.on("PUT /admin/tenants/acme", { body: { ...TENANT, weight: 3, version: 13 } });
  show(<TenantsPage />);
  await userEvent.click((await open("acme")).getByRole("button", { name: "Edit" }));
  const weight = await screen.findByRole("textbox", { name: "Weight" });
  await userEvent.clear(weight);
  await userEvent.type(weight, "0");
  expect(weight).toHaveAccessibleDescription("Write a number above 0, up to 1000.");
  await userEvent.clear(weight);
  await userEvent.type(weight, "3");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  const asked = server.last("PUT /admin/tenants/acme");
  expect(asked.headers.get("if-match")).toBe('"12"');
  expect(asked.body).toEqual({ name: "acme", qos_tier: "premium", weight: 3 });
});

it("adds and deletes users of a tenant, of the file as well", async () => {
  server.on("POST /admin/users", { status: 201, body: PAULA }).on("DELETE /admin/users/paula", { status: 204 });
  show(<TenantsPage />);
  const dialog = await open("globex");
  expect(dialog.getByText(/stands in the configuration file/)).toBeInTheDocument();
  expect(dialog.queryByRole("button", { name: "Edit" })).not.toBeInTheDocument();
  await userEvent.type(dialog.getByRole("textbox", { name: "New user" }), "zoe{Enter}");
  await waitFor(() => expect(server.last("POST /admin/users").body).toEqual({ name: "zoe", tenant: "globex" }));
  await userEvent.click(await dialog.findByRole("button", { name: "Delete the user paula" }));
  await waitFor(() => expect(server.last("DELETE /admin/users/paula").headers.get("if-match")).toBe('"4"'));
});
