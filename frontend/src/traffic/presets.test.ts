import { expect, test } from "vitest";
import { aPool, BANDS } from "../../test/live";
import type { Persona } from "./personas";
import { GENTLE, modelFor, PRESETS } from "./presets";
import { MOST_AT_ONCE, MOST_PER_SECOND } from "./scheduler";
import { castOf } from "./store";

function persona(id: string, band: string): Persona {
  return { id, name: id, key: `sk-${id}`, tenant: "t", user: "u", band, demo: true };
}

test.each([
  ["quick", ["sim-small", "sim-large"], [], "sim-small"],
  ["quick", [], [], null],
  [
    "scarce",
    ["sim-small", "default", "sim-large"],
    [aPool({ slots: 16 }), aPool({ name: "sim-large", slots: 3 })],
    "sim-large",
  ],
  ["scarce", ["sim-small", "default"], [aPool({ slots: 16 }), aPool({ name: "sim-large", slots: 3 })], "sim-small"],
  ["scarce", ["sim-small", "sim-large"], [aPool({ slots: null }), aPool({ name: "sim-large", slots: 3 })], "sim-large"],
  ["scarce", ["sim-large", "sim-small"], [aPool({ slots: 3 }), aPool({ name: "sim-large", slots: 3 })], "sim-large"],
  ["scarce", ["a", "b"], [], "b"],
  [
    "scarce",
    ["sim-small", "sim-large", "alias"],
    [aPool({ slots: null }), aPool({ name: "sim-large", slots: null })],
    "sim-large",
  ],
  [
    "scarce",
    ["sim-small", "sim-large"],
    [aPool({ slots: 16 }), aPool({ name: "sim-large", slots: null })],
    "sim-large",
  ],
  ["scarce", [], [], null],
] as const)("%s of %j", (which, models, pools, expected) => {
  expect(modelFor(which, models, pools)).toBe(expected);
});

test.each(PRESETS.map((preset) => [preset.name, preset] as const))(
  "%s is within what a browser can carry",
  (_, { parts }) => {
    // biome-ignore format: a table
    expect(parts.reduce((sum, { perSecond }) => sum + perSecond, 0)).toBeLessThanOrEqual(MOST_PER_SECOND);
    expect(new Set(parts.map(({ band }) => band)).size).toBe(parts.length);
    for (const { band, atOnce } of parts) {
      expect(BANDS).toContain(band);
      expect(atOnce).toBeLessThanOrEqual(MOST_AT_ONCE);
    }
  },
);

test.each(["Batch flood, one interactive", "Abusive client", "Noisy neighbour"])(
  "in %s premium always has a connection of its own",
  (name) => {
    // biome-ignore format: a table
    const parts = PRESETS.find((preset) => preset.name === name)?.parts ?? [];
    expect(parts.some(({ band }) => band === "premium")).toBe(true);
    expect(parts.reduce((sum, { atOnce }) => sum + atOnce, 0)).toBeLessThanOrEqual(MOST_AT_ONCE);
  },
);

test("each has a name and an id of its own, and watches only who takes part", () => {
  expect(new Set(PRESETS.map(({ id }) => id)).size).toBe(PRESETS.length);
  for (const { watch, parts } of PRESETS) {
    if (watch !== null) expect(parts.map(({ band }) => band)).toContain(watch);
  }
});

test("the first persona of each band takes its part; without one the preset cannot be", () => {
  const everybody = BANDS.flatMap((band) => [persona(`${band}-1`, band), persona(`${band}-2`, band)]);
  const cast = castOf(GENTLE, everybody);
  expect(cast?.get("batch")?.id).toBe("batch-1");
  expect(cast?.size).toBe(4);
  expect(castOf(GENTLE, everybody.filter(({ band }) => band !== "batch"))).toBeNull(); // biome-ignore format: a value
});
