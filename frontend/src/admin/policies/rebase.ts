/** Somebody else was faster: their changes are taken over, but for what was changed here too. Pure. */
import type { Draft } from "./draft";

export function rebase(mine: Draft, before: Draft, now: Draft): Draft {
  const kept = (Object.keys(now) as (keyof Draft)[]).filter((field) => !same(mine[field], before[field]));
  return Object.assign({ ...now }, Object.fromEntries(kept.map((field) => [field, mine[field]])));
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
