/** A dry run in words. Pure. */
import { count } from "@/lib/format";
import type { DryRun } from "../types";
import { between } from "../when";
import { unitWords } from "./words";

/** What a proposed limit would have done, in one or two sentences. */
export function previewWords(run: DryRun): string {
  if (run.requests === 0) return `The logs of ${run.source} are empty, so nothing says what this would have denied.`;
  const asked = `${count(run.requests)} ${run.requests === 1 ? "request" : "requests"}`;
  const cost = run.unit === "requests" ? "" : `, ${count(run.cost)} ${unitWords(run.unit)} together,`;
  const held = `The logs of ${run.source} hold ${asked}${cost}${times(run)}`;
  const part = run.complete ? "" : " Not all logs were read: there are too many.";
  if (run.denied === 0) return `${held}. None of them would have been denied.${part}`;
  const whom = run.subjects === 1 ? "" : `, of ${count(run.subjects_denied)} of ${count(run.subjects)} subjects`;
  return `${held}. ${count(run.denied)} of them (${percent(run.denied, run.requests)}) would have been denied${whom}.${part}`;
}

function times({ from, to }: DryRun): string {
  return from && to ? ` ${between(from, to)}` : "";
}

/** `7 %`; never 0 % or 100 % for what is neither. */
export function percent(part: number, whole: number): string {
  const exact = (100 * part) / whole;
  if (part > 0 && exact < 1) return "under 1 %";
  if (part < whole && exact > 99) return "over 99 %";
  return `${Math.round(exact)} %`;
}
