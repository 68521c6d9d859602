import { expect, it } from "vitest";
import { DRY_RUN } from "../../../test/samples";
import { between } from "../when";
import { percent, previewWords } from "./preview";

const SPAN = between("2026-01-01T12:00:00Z", "2026-01-01T12:00:09.500000Z");

it.each([
  [`The logs of acme-burst hold 42 requests ${SPAN}. 7 of them (17 %) would have been denied.`, {}],
  [`The logs of acme-burst hold 42 requests ${SPAN}. None of them would have been denied.`, { denied: 0 }],
  [
    `The logs of acme-burst hold 42 requests ${SPAN}. 7 of them (17 %) would have been denied, of 2 of 9 subjects.`,
    { subjects: 9, subjects_denied: 2 },
  ],
  [
    `The logs of acme-burst hold 42 requests, 900 tokens together, ${SPAN}. None of them would have been denied.`,
    { unit: "total_tokens", cost: 900, denied: 0 },
  ],
  [
    `The logs of acme-burst hold 42 requests ${SPAN}. None of them would have been denied. Not all logs were read: there are too many.`,
    { denied: 0, complete: false },
  ],
  ["The logs of acme-burst are empty, so nothing says what this would have denied.", { requests: 0, denied: 0 }],
] as const)("%s", (words, changes) => {
  expect(previewWords({ ...DRY_RUN, ...changes })).toBe(words);
});

it.each([
  [1, 3, "33 %"],
  [1, 1000, "under 1 %"],
  [999, 1000, "over 99 %"],
  [5, 5, "100 %"],
  [0, 5, "0 %"],
])("%d of %d is %s", (part, whole, words) => {
  expect(percent(part, whole)).toBe(words);
});
