/**
 * Another limit for one subject, beside a policy that cannot be changed here. The rule (docs/policies.md): of the
 * policies of one scope and unit, those that name their subject in `match` replace, for that subject, those that do
 * not. Pure.
 */
import type { AnyPolicy, Dimension, Match, Policy } from "../types";
import { conditions, names, SCOPE_DIMENSIONS, subjectParts } from "./words";

export function namesSubject(policy: Pick<Policy, "scope" | "match">): boolean {
  return conditions(policy.match).some(([dimension]) => SCOPE_DIMENSIONS[policy.scope].includes(dimension));
}

/** A policy like `base` that names this subject (as usage has it; empty where it is not chosen yet). */
export function overrideOf(base: AnyPolicy, subject: string): Policy {
  const named = subjectParts(base.scope, subject);
  const match: Match = { ...base.match };
  for (const [dimension, name] of named) match[dimension] = [name];
  return { ...plain(base), name: overrideName(base, match), match };
}

/** What such a policy is called where nobody says otherwise: like `base`, and whom it names; empty where it names nobody. */
export function overrideName(base: AnyPolicy, match: Match): string {
  const named = SCOPE_DIMENSIONS[base.scope].flatMap((dimension) => names(match, dimension));
  return named.length > 0 ? [base.name, ...named].join("-").slice(0, 128) : "";
}

/** Which of these policies would not count any more where the proposed one does. */
export function replacedBy(proposed: AnyPolicy, policies: readonly AnyPolicy[]): AnyPolicy[] {
  if (!namesSubject(proposed)) return [];
  return policies.filter(
    (each) =>
      each.name !== proposed.name &&
      each.scope === proposed.scope &&
      each.unit === proposed.unit &&
      !namesSubject(each) &&
      mayMeet(each.match, proposed.match),
  );
}

/** Whether a request could fulfil both: no dimension on which they have no name in common. */
function mayMeet(one: Match, other: Match): boolean {
  const others = new Map<Dimension, string[]>(conditions(other));
  return conditions(one).every(([dimension, given]) => {
    const accepted = others.get(dimension);
    return !accepted || given.some((name) => accepted.includes(name));
  });
}

/** The policy's own fields, without what the server tells about it. */
export function plain(policy: AnyPolicy): Policy {
  const { name, scope, unit, limit, window, match, per, mode, on_redis_failure, block, shards } = policy;
  return {
    name,
    scope,
    unit,
    limit,
    ...(window !== undefined && { window }),
    match,
    per,
    mode,
    on_redis_failure,
    block: block ?? null,
    shards,
  };
}
