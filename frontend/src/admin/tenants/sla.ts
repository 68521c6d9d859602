/** Service levels in words. Pure. */
import { milliseconds } from "@/lib/format";
import type { Sla, TenantSla } from "../types";

type Attained = TenantSla["windows"][string];

export type Met = "met" | "missed" | "nothing agreed" | "no requests";

export function metOf(attained: Attained | undefined): Met {
  if (!attained || attained.requests === 0) return "no requests";
  if (attained.met === null) return "nothing agreed";
  return attained.met ? "met" : "missed";
}

/** `99.92 % complete, p95 to the first token 119 ms`; what was not measured is left out. */
export function attainedWords(attained: Attained | undefined): string {
  if (!attained || attained.requests === 0) return "";
  const parts = [];
  if (attained.success_rate !== null) parts.push(`${rate(attained.success_rate)} complete`);
  if (attained.ttft_p95_ms !== null) parts.push(`p95 to the first token ${milliseconds(attained.ttft_p95_ms)}`);
  else if (attained.latency_p95_ms !== null) parts.push(`p95 to the end ${milliseconds(attained.latency_p95_ms)}`);
  return parts.join(", ");
}

/** What is agreed for a band: `first token within 1.0 s for 95 in 100, 99.9 % complete`. */
export function agreedWords(targets: Sla["targets"], band: string): string {
  const target = targets[band];
  const parts = [];
  if (target?.ttft_p95_ms) parts.push(`first token within ${milliseconds(target.ttft_p95_ms)} for 95 in 100`);
  if (target?.success_rate) parts.push(`${rate(target.success_rate)} complete`);
  return parts.join(", ");
}

/** A share, never rounded up to all. */
export function rate(share: number): string {
  return `${Math.floor(share * 10_000) / 100} %`;
}
