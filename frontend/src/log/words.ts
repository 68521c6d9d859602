/** The log in words: whose window it is, how it stands, and what there is to see. */
import type { WindowNow } from "@/api/types";
import { count, duration, span } from "@/lib/format";
import { firstAfter, inWindow, type WatchedLog } from "@/live/log";

const UNITS: Record<string, string> = {
  requests: "requests",
  input_tokens: "input tokens",
  output_tokens: "output tokens",
  total_tokens: "tokens",
  concurrent_requests: "requests at the same time",
};

export function unitWords(unit: string): string {
  return UNITS[unit] ?? unit.replaceAll("_", " ");
}

const KEPT_FOR: Record<string, string> = {
  TENANT: "tenant",
  API_KEY: "key",
  MODEL: "model",
  MODEL_TIER: "tier",
  USER_MODEL: "user",
};

/** Whose window: `key demo-standard`, `user bob on sim-large`, `tier large, tenant acme`, `everybody`. */
export function subjectWords(window: { scope: string; subject: string }): string {
  if (!window.subject) return "everybody";
  const [first = "", ...further] = window.subject.split("|");
  const named = `${KEPT_FOR[window.scope] ?? ""} ${first}`.trim();
  return further.reduce((words, part) => {
    const [dimension, value] = part.split("=", 2);
    return value === undefined ? `${words} on ${part}` : `${words}, ${dimension?.replaceAll("_", " ")} ${value}`;
  }, named);
}

/** What it allows: `10 requests in any 10 s`. */
export function limitWords(window: Pick<WindowNow, "limit" | "unit" | "window_s">): string {
  const what = `${count(window.limit)} ${unitWords(window.unit)}`;
  return window.unit === "concurrent_requests" ? what : `${what} in any ${span(window.window_s)}`;
}

export type Room = { is: "room"; left: number } | { is: "full"; inMs: number } | { is: "never" };

export function roomAt(log: WatchedLog, nowMs: number): Room {
  const inMs = log.roomInMs(nowMs);
  if (inMs === null) return { is: "never" };
  if (inMs > 0) return { is: "full", inMs };
  return { is: "room", left: Math.max(0, (log.window?.limit ?? 0) - log.usedAt(nowMs)) };
}

export function roomWords(room: Room, unit = "requests"): string {
  const slot = unit === "requests" ? "slot" : "room";
  if (room.is === "never") return "room for none";
  if (room.is === "full") return `next ${slot} in ${duration(room.inMs / 1000)}`;
  return `room for ${count(room.left)} now`;
}

/** Denied within the window's length before now. */
export function deniedLately(log: WatchedLog, nowMs: number): number {
  return log.crosses.length - firstAfter(log.crosses, nowMs - log.windowMs);
}

/** What the canvas shows, for those who do not see it. */
export function summary(log: WatchedLog, nowMs: number): string {
  const { window } = log;
  if (!window) return "No window is watched.";
  const used = log.usedAt(nowMs);
  const state = `${count(used)} of ${limitWords(window)} used by ${subjectWords(window)}; ${roomWords(roomAt(log, nowMs), window.unit)}.`;
  if (log.held) return state;
  const denied = deniedLately(log, nowMs);
  const first = log.marks.find((mark) => mark.cost > 0 && inWindow(mark.ms, nowMs, log.windowMs));
  const oldest = first
    ? ` The oldest entry leaves in ${duration((first.ms + log.windowMs - nowMs) / 1000)}.`
    : log.profile
      ? " There are too many entries to tell each; their density is shown."
      : " The log has no entry.";
  return `${state}${oldest} Denied in the last ${span(window.window_s)}: ${count(denied)}; these are not in the log.`;
}
