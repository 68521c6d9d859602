/** Which windows may be watched, and which one is watched before anybody has chosen. */
import type { WindowNow } from "@/api/types";
import { span } from "@/lib/format";
import { windowKey } from "@/live/model";
import { subjectWords } from "./words";

type Candidate = Pick<WindowNow, "policy" | "scope" | "subject" | "unit" | "limit" | "window_s" | "used">;

export interface WindowOption {
  value: string;
  label: string;
}

/** Each window once: of several tellings of the same window the first counts. By policy, then by subject. */
export function optionsOf(...tellings: Iterable<Candidate>[]): WindowOption[] {
  const found = new Map<string, Candidate>();
  for (const windows of tellings) {
    for (const window of windows) if (!found.has(windowKey(window))) found.set(windowKey(window), window);
  }
  return [...found]
    .sort(([, a], [, b]) => a.policy.localeCompare(b.policy) || a.subject.localeCompare(b.subject))
    .map(([value, window]) => ({ value, label: labelOf(window) }));
}

export function labelOf(window: Candidate): string {
  const much =
    window.unit === "concurrent_requests" ? `${window.limit} at once` : `${window.limit} in ${span(window.window_s)}`;
  return `${window.policy} · ${subjectWords(window)} · ${much}`;
}

/**
 * The window that shows best what a sliding log is: of the preferred subject where there is one, counting requests,
 * short enough to see marks move, and small enough to be filled by hand.
 */
export function bestOf<T extends Candidate>(windows: Iterable<T>, preferredSubject: string | null): T | null {
  let best: T | null = null;
  for (const window of windows) {
    if (window.unit === "concurrent_requests") continue;
    if (!best || scoreOf(window, preferredSubject) > scoreOf(best, preferredSubject)) best = window;
  }
  return best;
}

function scoreOf(window: Candidate, preferredSubject: string | null): number {
  return (
    (preferredSubject !== null && window.subject === preferredSubject ? 1_000 : 0) +
    (window.unit === "requests" ? 400 : 0) +
    (window.window_s >= 2 && window.window_s <= 60 ? 200 : 0) +
    (window.used > 0 ? 100 : 0) -
    Math.log10(Math.max(1, window.limit)) * 10 -
    Math.log10(Math.max(1, window.window_s)) * 10
  );
}
