import { expect, it } from "vitest";
import type { KeyView } from "../types";
import { moment } from "../when";
import { keyState, overlapWords } from "./state";

const NOW = Date.parse("2026-06-01T00:00:00Z");

const KEY: KeyView = {
  id: "Ab3dEf6hIj9kLm2n",
  user: "paula",
  role: "inference",
  revoked: false,
  demo: false,
  source: "api",
  version: 12,
};

it.each<[string, Partial<KeyView>]>([
  ["works", {}],
  ["works", { expires_at: "2030-01-01T00:00:00Z" }],
  ["expired", { expires_at: "2026-06-01T00:00:00Z" }],
  ["revoked", { revoked: true, expires_at: "2020-01-01T00:00:00Z" }],
  ["without effect", { problem: "user 'paula' does not exist" }],
])("a key %s: %j", (state, changes) => {
  expect(keyState({ ...KEY, ...changes }, NOW)).toBe(state);
});

it.each<[Partial<KeyView>, boolean]>([
  [{}, false],
  [{ previous_until: "2026-06-02T00:00:00Z" }, true],
  [{ previous_until: "2026-06-01T00:00:00Z" }, false],
  [{ previous_until: "2026-06-02T00:00:00Z", revoked: true }, false],
])("tells of the secret before: %j", (changes, told) => {
  const expected = told ? `The secret before works until ${moment(changes.previous_until ?? "")}.` : "";
  expect(overlapWords({ ...KEY, ...changes }, NOW)).toBe(expected);
});
