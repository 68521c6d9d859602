/** A policy as it stands in a form: text that may be wrong yet. Pure. */
import { readDuration, readWhole } from "../durations";
import {
  type AnyPolicy,
  DIMENSIONS,
  type Dimension,
  type Match,
  type Mode,
  type OnRedisFailure,
  type Policy,
  type Scope,
  type Unit,
} from "../types";
import { names } from "./words";

export interface Draft {
  name: string;
  scope: Scope;
  unit: Unit;
  limit: string;
  window: string;
  mode: Mode;
  on_redis_failure: OnRedisFailure;
  per: Dimension[];
  /** Names with commas between them, by dimension. */
  match: Record<Dimension, string>;
  blocks: boolean;
  denials: string;
  within: string;
  duration: string;
  shards: number;
}

/** Every field that a form of policies shows problems at. */
export const POLICY_FIELDS: readonly string[] = [
  "name",
  "scope",
  "unit",
  "limit",
  "window",
  "mode",
  "on_redis_failure",
  "per",
  ...DIMENSIONS.map((dimension) => `match.${dimension}`),
  "block.denials",
  "block.within",
  "block.duration",
];

export const NEW_POLICY: Draft = {
  name: "",
  scope: "TENANT",
  unit: "requests",
  limit: "",
  window: "1m",
  mode: "enforce",
  on_redis_failure: "deny",
  per: [],
  match: { tenant: "", user: "", api_key: "", model: "", model_tier: "", qos_tier: "" },
  blocks: false,
  denials: "20",
  within: "1m",
  duration: "10m",
  shards: 1,
};

export function draftOf(policy: AnyPolicy): Draft {
  const { name, scope, unit, limit, window, mode, on_redis_failure, per, match, block, shards } = policy;
  const listed = DIMENSIONS.map((dimension) => [dimension, names(match, dimension).join(", ")]);
  return {
    ...NEW_POLICY,
    name,
    scope,
    unit,
    limit: String(limit),
    window: String(window ?? ""),
    mode,
    on_redis_failure,
    per: [...per],
    match: Object.fromEntries(listed) as Draft["match"],
    ...(block && {
      blocks: true,
      denials: String(block.denials),
      within: String(block.within),
      duration: String(block.duration),
    }),
    shards,
  };
}

export interface Reading {
  /** Null while something is wrong. */
  policy: Policy | null;
  problems: Record<string, string>;
}

/** The policy that the text stands for. Only numbers and times are judged here; the rest is for the server to say. */
export function readDraft(draft: Draft): Reading {
  const problems: Record<string, string> = {};
  const limit = noted(problems, "limit", readWhole(draft.limit));
  noted(problems, "window", readDuration(draft.window));
  const denials = draft.blocks ? noted(problems, "block.denials", readWhole(draft.denials, 1_000_000)) : 0;
  if (draft.blocks) {
    noted(problems, "block.within", readDuration(draft.within));
    noted(problems, "block.duration", readDuration(draft.duration));
  }
  if (Object.keys(problems).length > 0) return { policy: null, problems };
  const { name, scope, unit, mode, on_redis_failure, per, shards } = draft;
  const block = draft.blocks ? { denials, within: tight(draft.within), duration: tight(draft.duration) } : null;
  const window = tight(draft.window);
  const match = matchOf(draft.match);
  const policy = { name: name.trim(), scope, unit, limit, window, match, per, mode, on_redis_failure, block, shards };
  return { policy, problems };
}

function noted(problems: Record<string, string>, field: string, read: ReturnType<typeof readWhole>): number {
  if (read.problem !== undefined) problems[field] = read.problem;
  return read.value ?? 0;
}

/** The conditions that the texts stand for. */
export function matchOf(texts: Draft["match"]): Match {
  const read = DIMENSIONS.map((dimension) => {
    const given = listOf(texts[dimension]);
    return [dimension, given.length ? given : null];
  });
  return Object.fromEntries(read) as Match;
}

/** `a, b c` is three names: no name holds a comma or a space. */
export function listOf(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter(Boolean))];
}

function tight(duration: string): string {
  return duration.replace(/\s+/g, "");
}
