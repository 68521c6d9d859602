import { expect, test } from "vitest";
import { bandColour, bandLetter } from "./bands";
import { duration, milliseconds, span } from "./format";

test.each([
  [0, "0 s"],
  [-3, "0 s"],
  [0.001, "0.1 s"],
  [1.21, "1.3 s"],
  [9.95, "10.0 s"],
  [10.01, "11 s"],
  [60, "1 min"],
  [125, "2 min 5 s"],
  [3_780, "1 h 3 min"],
  [7_200, "2 h"],
])("%d s lasts %s", (seconds, words) => {
  expect(duration(seconds)).toBe(words);
});

test.each([
  [0.25, "250 ms"],
  [10, "10 s"],
  [60, "1 min"],
  [90, "90 s"],
  [86_400, "1 d"],
])("a window of %d s is one of %s", (seconds, words) => {
  expect(span(seconds)).toBe(words);
});

test.each([
  [0.44, "0.4 ms"],
  [38.4, "38 ms"],
  [1_234, "1.2 s"],
  [45_600, "46 s"],
])("%d ms is %s", (ms, words) => {
  expect(milliseconds(ms)).toBe(words);
});

test("bands are told apart by colour and letter, also where two begin alike", () => {
  const bands = ["internal", "premium", "public"];
  expect(bands.map((band) => bandLetter(bands, band))).toEqual(["I", "P1", "P2"]);
  expect(new Set(bands.map((band) => bandColour(bands, band))).size).toBe(3);
});
