/** Policies in words: whom they limit, to what, and when. Pure. */
import { count, span } from "@/lib/format";
import { windowSeconds } from "../durations";
import type { Dimension, Match, Mode, OnRedisFailure, Policy, Scope, Unit } from "../types";

export const SCOPE_DIMENSIONS: Record<Scope, readonly Dimension[]> = {
  GLOBAL: [],
  TENANT: ["tenant"],
  API_KEY: ["api_key"],
  MODEL: ["model"],
  MODEL_TIER: ["model_tier"],
  USER_MODEL: ["user", "model"],
};

export const DIMENSION_WORDS: Record<Dimension, string> = {
  tenant: "tenant",
  user: "user",
  api_key: "API key",
  model: "model",
  model_tier: "tier",
  qos_tier: "band",
};

const UNIT_WORDS: Record<Unit, string> = {
  requests: "requests",
  input_tokens: "input tokens",
  output_tokens: "output tokens",
  total_tokens: "tokens",
  concurrent_requests: "requests at a time",
};

export const MODE_WORDS: Record<Mode, string> = {
  enforce: "Enforce: denies",
  shadow: "Shadow: counts, never denies",
  off: "Off: rests",
};

export const FAILURE_WORDS: Record<OnRedisFailure, string> = {
  deny: "Deny",
  allow: "Allow",
  local: "Keep an exact window in each process, with its part of the limit",
};

export const SCOPE_WORDS: Record<Scope, string> = {
  GLOBAL: "GLOBAL: one window for all",
  TENANT: "TENANT: a window for each tenant",
  API_KEY: "API_KEY: for each API key",
  MODEL: "MODEL: for each model",
  MODEL_TIER: "MODEL_TIER: for each tier of models",
  USER_MODEL: "USER_MODEL: for each user and model",
};

export function unitWords(unit: string): string {
  return (UNIT_WORDS as Record<string, string>)[unit] ?? unit;
}

/** `60 requests in any 1 min`; `8 requests at a time`. */
export function limitWords({ limit, unit, window }: Pick<Policy, "limit" | "unit" | "window">): string {
  const most = `${count(limit)} ${limit === 1 ? unitWords(unit).replace("requests", "request") : unitWords(unit)}`;
  return unit === "concurrent_requests" ? most : `${most} in any ${span(windowSeconds(window))}`;
}

/** What one window of it is kept for: `each tier and tenant`, `tenant acme`. */
export function keptFor(policy: Pick<Policy, "scope" | "per" | "match">): string {
  const dimensions = [...SCOPE_DIMENSIONS[policy.scope], ...policy.per];
  if (dimensions.length === 0) return "everybody together";
  return dimensions
    .map((dimension, place) => {
      const [only, ...others] = names(policy.match, dimension);
      if (only !== undefined && others.length === 0) return `${DIMENSION_WORDS[dimension]} ${only}`;
      return `${place === 0 ? "each " : ""}${DIMENSION_WORDS[dimension]}`;
    })
    .join(" and ");
}

/** The conditions of a match that are given, in the server's order. */
export function conditions(match: Match): [Dimension, string[]][] {
  return (Object.keys(DIMENSION_WORDS) as Dimension[])
    .map((dimension): [Dimension, string[]] => [dimension, names(match, dimension)])
    .filter(([, given]) => given.length > 0);
}

export function names(match: Match, dimension: Dimension): string[] {
  const given = match[dimension];
  if (given === null || given === undefined) return [];
  return typeof given === "string" ? [given] : given;
}

/** `Each tenant: at most 60 requests in any 1 min, where the band is standard or batch.` */
export function sentence(policy: Pick<Policy, "scope" | "per" | "match" | "limit" | "unit" | "window">): string {
  const dimensions = [...SCOPE_DIMENSIONS[policy.scope], ...policy.per];
  const where = conditions(policy.match)
    .filter(([dimension, given]) => given.length > 1 || !dimensions.includes(dimension))
    .map(([dimension, given]) => `the ${DIMENSION_WORDS[dimension]} is ${anyOf(given)}`);
  const kept = keptFor(policy);
  const condition = where.length ? `, where ${where.join(" and ")}` : "";
  return `${kept.charAt(0).toUpperCase()}${kept.slice(1)}: at most ${limitWords(policy)}${condition}.`;
}

export function anyOf(given: readonly string[]): string {
  if (given.length < 2) return given.join("");
  return `${given.slice(0, -1).join(", ")} or ${given.at(-1)}`;
}

/** A window's subject as the policy's dimensions: `large|tenant=globex` is tier large and tenant globex. */
export function subjectParts(scope: Scope, subject: string): [Dimension, string][] {
  const own = SCOPE_DIMENSIONS[scope];
  return subject
    .split("|")
    .filter((part) => part !== "")
    .map((part, place): [Dimension, string] => {
      const [dimension, name] = part.split("=");
      const scoped = own[place];
      return scoped ? [scoped, part] : [dimension as Dimension, name ?? ""];
    });
}

/** A window's subject in words: `globex`, `tier large, tenant globex`, `everybody`. */
export function subjectWords(scope: string, subject: string): string {
  const parts = subjectParts(scope as Scope, subject);
  if (parts.length === 0) return "everybody";
  const [first] = parts;
  if (parts.length === 1 && first) return first[1];
  return parts.map(([dimension, name]) => `${DIMENSION_WORDS[dimension] ?? dimension} ${name}`).join(", ");
}
