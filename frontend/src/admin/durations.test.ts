import { describe, expect, it } from "vitest";
import { readDuration, readWhole, windowSeconds, writeDuration } from "./durations";

describe("readDuration", () => {
  it.each([
    ["10s", 10_000],
    ["250ms", 250],
    ["1m30s", 90_000],
    [" 1 h ", 3_600_000],
    ["31d", 2_678_400_000],
    ["100ms", 100],
  ])("reads %j as %d ms", (text, ms) => {
    expect(readDuration(text)).toEqual({ value: ms });
  });

  it.each([
    ["", "number and ms"],
    ["10", "number and ms"],
    ["1w", "number and ms"],
    ["-1s", "number and ms"],
    ["1.5s", "number and ms"],
    ["99ms", "from 100ms to 31d"],
    ["0s", "from 100ms to 31d"],
    ["32d", "from 100ms to 31d"],
  ])("says what is wrong with %j", (text, words) => {
    expect(readDuration(text).problem).toContain(words);
  });

  it("takes none at all where that means something", () => {
    expect(readDuration("0s", 0)).toEqual({ value: 0 });
  });
});

it.each([
  [90_000, "1m30s"],
  [0, "0s"],
  [86_400_000, "1d"],
  [250, "250ms"],
])("writes %d ms as %s", (ms, text) => {
  expect(writeDuration(ms)).toBe(text);
});

it.each([
  ["1m", 60],
  [500, 0.5],
  [undefined, 0],
] as const)("knows the seconds of the window %j", (window, seconds) => {
  expect(windowSeconds(window)).toBe(seconds);
});

describe("readWhole", () => {
  it.each([
    ["60", 60],
    [" 7 ", 7],
    ["1,000", 1000],
    ["1 000 000", 1_000_000],
    ["1_000", 1000],
    ["1000000000000", 1e12],
  ])("reads %j as %d", (text, value) => {
    expect(readWhole(text)).toEqual({ value });
  });

  it.each(["", "0", "-5", "1.5", "1,00", "ten", "1e3", "1000000000001"])("refuses %j", (text) => {
    expect(readWhole(text).problem).toContain("whole number from 1 to 1,000,000,000,000");
  });
});
