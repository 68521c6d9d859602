import { expect, it } from "vitest";
import type { TenantSla } from "../types";
import { agreedWords, attainedWords, metOf, rate } from "./sla";

const ATTAINED: TenantSla["windows"][string] = {
  requests: 1200,
  success_rate: 0.9992,
  ttft_p50_ms: 45.3,
  ttft_p95_ms: 118.6,
  latency_p50_ms: 310.5,
  latency_p95_ms: 812.9,
  met: true,
};

it.each([
  ["met", ATTAINED],
  ["missed", { ...ATTAINED, met: false }],
  ["nothing agreed", { ...ATTAINED, met: null }],
  ["no requests", { ...ATTAINED, requests: 0, met: null }],
  ["no requests", undefined],
] as const)("says %s", (expected, attained) => {
  expect(metOf(attained)).toBe(expected);
});

it.each([
  ["99.92 % complete, p95 to the first token 119 ms", ATTAINED],
  ["99.92 % complete, p95 to the end 813 ms", { ...ATTAINED, ttft_p95_ms: null }],
  ["", { ...ATTAINED, requests: 0 }],
  ["", undefined],
] as const)("says what was attained: %j", (expected, attained) => {
  expect(attainedWords(attained)).toBe(expected);
});

it("says what is agreed", () => {
  const targets = { premium: { ttft_p95_ms: 500, success_rate: 0.999 }, batch: { success_rate: 0.9 } };
  expect(agreedWords(targets, "premium")).toBe("first token within 500 ms for 95 in 100, 99.9 % complete");
  expect(agreedWords(targets, "batch")).toBe("90 % complete");
  expect(agreedWords(targets, "standard")).toBe("");
});

it("never rounds up to all", () => {
  expect(rate(0.99999)).toBe("99.99 %");
  expect(rate(1)).toBe("100 %");
});
