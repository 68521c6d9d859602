import { act, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type uPlot from "uplot";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { changed, model } from "@/live/store";
import { aFrame, aHello } from "../../test/live";
import { ChartsPanel } from "./ChartsPanel";

/** What was drawn, by the chart's labels: jsdom has no canvas that uPlot could draw on. */
const charts = vi.hoisted(() => [] as { labels: unknown[]; data: unknown[][]; destroyed: boolean }[]);

vi.mock("uplot", () => ({
  default: class {
    private readonly chart;
    constructor(options: uPlot.Options) {
      this.chart = { labels: options.series.map((each) => each.label), data: [] as unknown[][], destroyed: false };
      charts.push(this.chart);
    }
    setData(data: unknown[][]) {
      this.chart.data = data;
    }
    setSize() {}
    destroy() {
      this.chart.destroyed = true;
    }
  },
}));

const NOW = 1_700_000_010_500;

function counted(band: string, of: object) {
  return { band, allowed: 0, denied: 0, shadow: 0, refused: 0, failed: 0, finished: 0, waits: {}, ...of };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  charts.length = 0;
  model.begin(aHello({ at_ms: NOW - 2_000 }));
  model.take(aFrame({ at_ms: NOW - 2_000, counts: [counted("premium", { allowed: 5, waits: { 24: 5 } }), counted("batch", { denied: 7 })] })); // biome-ignore format: as sent
});

afterEach(() => {
  model.clear();
  vi.useRealTimers();
});

function drawn(label: string): unknown[] | undefined {
  const chart = charts.find((each) => !each.destroyed && each.labels.includes(label));
  return chart?.data[chart.labels.indexOf(label)];
}

test("a second is drawn once it is over, and the charts go on with the server's time", () => {
  render(<ChartsPanel />);
  expect(drawn("allowed")?.at(-1)).toBe(0); // the second of the counts is not over
  act(() => vi.advanceTimersByTime(2_000));
  expect(drawn("allowed")?.slice(-3)).toEqual([0, 5, 0]);
  expect(drawn("denied by a limit")?.slice(-3)).toEqual([0, 7, 0]);
  expect(drawn("premium p99")?.at(-2)).toBeCloseTo(1.1 ** 24);
  expect(drawn("batch p99")?.at(-2)).toBeNull();
  act(() => vi.advanceTimersByTime(1_000));
  expect(drawn("allowed")?.slice(-3)).toEqual([5, 0, 0]);
  expect(charts.filter((each) => !each.destroyed)).toHaveLength(2);
});

test("the legend tells the last values as text, and a table the last seconds", async () => {
  vi.useRealTimers();
  model.begin(aHello({ at_ms: NOW }));
  render(<ChartsPanel />);
  act(changed);
  const [decisions, waits] = screen.getAllByRole("figure");
  expect(decisions).toHaveTextContent("allowed");
  expect(waits).toHaveTextContent("premium p999.8 ms");
  await userEvent.click(screen.getByRole("button", { name: "As a table" }));
  const table = screen.getByRole("table");
  expect(within(table).getByRole("columnheader", { name: "premium wait, p50 / p99" })).toBeVisible();
  const row = within(table).getAllByRole("row")[2];
  expect(within(row as HTMLElement).getAllByRole("cell").slice(1).map((cell) => cell.textContent)).toEqual(["5", "7", "0", "– / –", "9.8 ms / 9.8 ms", "– / –", "– / –"]); // biome-ignore format: a list
});
