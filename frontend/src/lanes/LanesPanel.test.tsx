import { act, render, screen, within } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { changed, model } from "@/live/store";
import { aFrame, aHello, aPool, BANDS } from "../../test/live";
import { LanesPanel } from "./LanesPanel";

function heard(...pools: ReturnType<typeof aPool>[]): void {
  act(() => {
    model.begin(aHello());
    model.take(aFrame({ pools }));
    changed();
  });
}

function bands(
  of: Record<string, { waiting?: number; running?: number; oldest_wait_ms?: number; overtakings?: number }>,
) {
  return BANDS.map((name) => ({ name, waiting: 0, running: 0, oldest_wait_ms: 0, overtakings: 0, ...of[name] }));
}

afterEach(() => model.clear());

test("before the router has said a word, it says what there will be", () => {
  render(<LanesPanel />);
  expect(screen.getByRole("region", { name: "Lanes: who goes next" })).toHaveTextContent("Waiting for the router");
});

test("each band's queue can be read: how many wait, for how long, and whom they overtook; the highest first", () => {
  render(<LanesPanel />);
  heard(aPool({ bands: bands({ premium: { waiting: 2, oldest_wait_ms: 140, overtakings: 1_207 }, batch: { running: 4 } }) })); // biome-ignore format: one pool
  const table = within(screen.getByRole("region", { name: "Model sim-small" })).getByRole("table");
  const rows = within(table).getAllByRole("row").slice(1);
  expect(rows.map((row) => within(row).getByRole("rowheader").textContent)).toEqual(["Iinternal", "Ppremium", "Sstandard", "Bbatch"]); // biome-ignore format: a list
  const cells = within(rows[1] as HTMLElement).getAllByRole("cell");
  expect(cells.map((cell) => cell.textContent)).toEqual(["PP2", "140 ms", "1,207"]);
});

test("each slot has the letter of its band, or is free", () => {
  render(<LanesPanel />);
  heard(aPool({ slots: 4, bands: bands({ internal: { running: 1 }, batch: { running: 2 } }) }));
  expect(screen.getByText("3 of 4 slots busy")).toBeVisible();
  const slots = screen.getByRole("img", { name: "In the slots: internal 1, premium 0, standard 0, batch 2" });
  expect([...slots.children].map((slot) => slot.textContent)).toEqual(["I", "B", "B", ""]);
});

test("of a long queue a few are drawn, and a large pool is not drawn whole", () => {
  render(<LanesPanel />);
  heard(aPool({ slots: 5_000, bands: bands({ batch: { waiting: 12_345, running: 4_000 } }) }));
  expect(screen.getByText("+12,337")).toBeVisible();
  expect(screen.getByText("12,345")).toBeVisible();
  expect(document.querySelectorAll("*").length).toBeLessThan(250);
});

test("a pool whose slots nobody knows yet says so", () => {
  render(<LanesPanel />);
  heard(aPool({ slots: null }), aPool({ name: "sim-large" }));
  expect(screen.getByRole("region", { name: "Model sim-small" })).toHaveTextContent("slots not known yet");
  expect(screen.getByRole("region", { name: "Model sim-large" })).toHaveTextContent("0 of 4 slots busy");
});
