/** What a key is worth at a time. Pure. */
import type { KeyView } from "../types";
import { moment } from "../when";

export type KeyState = "works" | "revoked" | "expired" | "without effect";

export function keyState(key: KeyView, nowMs: number): KeyState {
  if (key.revoked) return "revoked";
  if (key.expires_at && Date.parse(key.expires_at) <= nowMs) return "expired";
  return key.problem ? "without effect" : "works";
}

/** What is to be known beside: the old secret of a rotated key works on for a while. */
export function overlapWords(key: KeyView, nowMs: number): string {
  const until = key.previous_until;
  if (key.revoked || !until || Date.parse(until) <= nowMs) return "";
  return `The secret before works until ${moment(until)}.`;
}
