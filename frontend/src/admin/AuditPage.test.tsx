import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it } from "vitest";
import { expectAccessible, FakeServer, show } from "../../test/fakeServer";
import { ADMIN_KEY, CHANGE } from "../../test/samples";
import { AuditPage } from "./AuditPage";
import { moment } from "./when";

let server: FakeServer;

beforeEach(() => {
  server = new FakeServer().on("GET /admin/keys/demo-admin", { body: ADMIN_KEY }).list("/admin/audit", [
    CHANGE,
    {
      ...CHANGE,
      version: 11,
      kind: "users",
      name: "zoe",
      action: "create",
      before: null,
      after: { name: "zoe", tenant: "acme" },
    },
  ]);
});

it("says who changed what when, and from what to what", async () => {
  show(<AuditPage />);
  const [newest, older] = await screen.findAllByRole("listitem");
  if (!newest || !older) throw new Error("Two changes were told");
  expect(newest).toHaveTextContent("changed policy acme-burst");
  expect(newest).toHaveTextContent("by ada of platform, key demo-admin");
  expect(newest).toHaveTextContent(moment(CHANGE.at));
  expect(within(newest).getByRole("row", { name: "limit 10 100" })).toBeInTheDocument();
  expect(within(newest).queryByRole("row", { name: /window/ })).not.toBeInTheDocument();
  expect(older).toHaveTextContent("created user zoe");
  expect(older).toHaveTextContent("tenantacme");
  await expectAccessible();
});

it("asks the server for what the filters say", async () => {
  show(<AuditPage />);
  await userEvent.type(await screen.findByRole("combobox", { name: "Name or key id" }), "zoe");
  await userEvent.type(screen.getByRole("combobox", { name: "Made with the key" }), "demo-admin");
  await waitFor(() => {
    const { query } = server.last("GET /admin/audit");
    expect([query.get("name"), query.get("actor"), query.get("kind")]).toEqual(["zoe", "demo-admin", null]);
  });
});

it("goes on behind the cursor, and says when nothing was changed yet", async () => {
  server.on("GET /admin/audit", ({ query }) => ({
    body: query.get("cursor")
      ? { items: [{ ...CHANGE, version: 1 }], next_cursor: null }
      : { items: [CHANGE], next_cursor: "next" },
  }));
  show(<AuditPage />);
  await userEvent.click(await screen.findByRole("button", { name: "Load more" }));
  expect(await screen.findByText("2 in all.")).toBeInTheDocument();
  server.list("/admin/audit", []);
  await userEvent.click(screen.getByRole("button", { name: "Read again" }));
  expect(await screen.findByText("Nobody has changed anything through the API yet.")).toBeInTheDocument();
});
