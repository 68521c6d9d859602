import { expect, test } from "vitest";
import { Layer } from "@/lib/animate";
import type { Palette } from "@/lib/palette";
import { WatchedLog } from "@/live/log";
import { type Drawn, recording } from "../../test/drawing";
import { aDenial, aLog, aWindow } from "../../test/live";
import { beadPx, drawLog } from "./draw";
import { Stacking } from "./stacking";

const PALETTE: Palette = {
  panel: "panel",
  raised: "raised",
  line: "line",
  lineStrong: "line-strong",
  text: "text",
  quiet: "quiet",
  allowed: "allowed",
  denied: "denied",
  warning: "warning",
  window: "window",
  bands: [],
  font: "sans-serif",
};

/** 1,000 px for 12.5 s: 80 px a second. */
const WIDTH = 1_014;

function drawn(log: WatchedLog, nowMs: number, still = false): Drawn[] {
  const { ctx, drawn } = recording();
  drawLog({ ctx, width: WIDTH, height: 240 }, log, nowMs, {
    palette: PALETTE,
    stacking: new Stacking(),
    ground: new Layer(),
    still,
  });
  return drawn;
}

function texts(of: Drawn[]): string[] {
  return of.filter((each) => each.op === "fillText").map((each) => String(each.args[0]));
}

function logOf(entries: [number, number, number][], window = aWindow()): WatchedLog {
  const log = new WatchedLog();
  log.take(aLog({ window, fresh: true, entries }), entries.at(-1)?.[0] ?? 0);
  return log;
}

test("each entry is a filled mark where its time is", () => {
  const marks = drawn(logOf([[100_000, 1, 1], [104_000, 2, 1]]), 105_000).filter((each) => each.op === "arc"); // biome-ignore format: as sent
  expect(marks.map((mark) => mark.args[0])).toEqual([600, 920]);
});

test("a mark that has left the window is hollow, fades, and gives its room back", () => {
  const log = logOf([[100_000, 1, 1], [100_010, 2, 1], [105_000, 3, 1]]); // biome-ignore format: as sent
  const before = drawn(log, 109_999);
  expect(before.filter((each) => each.op === "stroke" && each.stroke === "allowed" && each.alpha < 1)).toHaveLength(0);
  expect(texts(before).filter((text) => text.startsWith("+"))).toEqual([]);
  const after = drawn(log, 111_010);
  const hollow = after.filter((each) => each.op === "stroke" && each.stroke === "allowed" && each.alpha < 1);
  expect(hollow).toHaveLength(2);
  expect(hollow[1]?.alpha).toBeCloseTo(1 - 1_000 / 2_500);
  expect(texts(after)).toContain("+2");
});

test("a mark that counts for nothing is hollow and gives nothing back", () => {
  const log = logOf([[100_000, 1, 0]]);
  expect(drawn(log, 101_000).some((each) => each.op === "stroke" && each.stroke === "line-strong")).toBe(true);
  expect(texts(drawn(log, 110_500)).filter((text) => text.startsWith("+"))).toEqual([]);
});

test("what was denied is a cross below the line; where there are many, a number", () => {
  const log = logOf([[100_000, 1, 1]]);
  const [line] = drawn(log, 105_000).filter((each) => each.op === "lineTo");
  for (let at = 0; at < 2; at += 1) log.decided(aDenial({ at_ms: 104_000 + at }));
  const crosses = drawn(log, 105_000).filter((each) => each.op === "moveTo" && Number(each.args[0]) > 900);
  expect(crosses.filter((each) => each.stroke === "denied")).toHaveLength(4); // two strokes each
  expect(crosses.every((each) => each.stroke !== "denied" || Number(each.args[1]) > Number(line?.args[1]))).toBe(true);
  for (let at = 0; at < 38; at += 1) log.decided(aDenial({ at_ms: 104_002 }));
  expect(texts(drawn(log, 105_000))).toContain("+38");
});

test("tokens are as tall as they count for, one upon another", () => {
  const log = logOf([[100_000, 1, 30], [100_000, 2, 60]], aWindow({ unit: "total_tokens", limit: 100 })); // biome-ignore format: as sent
  const bars = drawn(log, 101_000).filter((each) => each.op === "fillRect" && each.fill === "allowed");
  const [first, second] = bars.map((bar) => bar.args.map(Number));
  expect((second?.[3] ?? 0) + 1).toBeCloseTo(2 * ((first?.[3] ?? 0) + 1));
  expect((second?.[1] ?? 0) + (second?.[3] ?? 0)).toBeLessThan(first?.[1] ?? 0);
});

test("of a log that is too long its density is drawn", () => {
  const log = new WatchedLog();
  const profile = { from_ms: 100_000, span_ms: 100, counts: [10, 0, 20] };
  log.take(aLog({ window: aWindow({ limit: 5_000 }), fresh: true, profile }), 100_300);
  const bars = drawn(log, 100_300).filter((each) => each.op === "fillRect" && each.fill === "allowed");
  expect(bars.map((bar) => bar.args[0])).toEqual([976, 992]);
  expect(Number(bars[1]?.args[3])).toBeCloseTo(2 * Number(bars[0]?.args[3]));
});

test("a mark arrives larger than it stays, but not where less motion is asked for", () => {
  const log = logOf([[100_000, 1, 1]]);
  const radius = (nowMs: number, still: boolean) =>
    Number(drawn(log, nowMs, still).find((each) => each.op === "arc")?.args[2]);
  expect(radius(100_010, false)).toBeGreaterThan(radius(101_000, false));
  expect(radius(100_010, true)).toBe(radius(101_000, true));
});

test("says when it will be another: at once, after half a pixel, twice a second, or never", () => {
  const { ctx } = recording();
  const surface = { ctx, width: WIDTH, height: 240 };
  const picture = { palette: PALETTE, stacking: new Stacking(), ground: new Layer(), still: false };
  const log = logOf([[100_000, 1, 1]]);
  expect(drawLog(surface, log, 100_050, picture)).toBe(0);
  expect(drawLog(surface, log, 105_000, picture)).toBeCloseTo(6.25);
  expect(drawLog(surface, log, 105_000, { ...picture, still: true })).toBe(500);
  expect(drawLog(surface, new WatchedLog(), 105_000, picture)).toBe(Number.POSITIVE_INFINITY);
});

test("all that a small limit allows can stand on one another", () => {
  expect(beadPx(10, 138) * 10).toBeLessThanOrEqual(138);
  expect(beadPx(1, 138)).toBe(16);
  expect(beadPx(3_000, 138)).toBe(6);
});
