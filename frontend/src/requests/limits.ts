/** The rate-limit headers of a reply, read: what applied to a request, and how much of it is left. */

export interface HeaderLimit {
  policy: string;
  limit: number;
  /** Null for what counts requests at once. */
  windowS: number | null;
  remaining: number | null;
  /** Whole seconds, rounded up: until room comes back. */
  resetS: number | null;
  unit: string;
}

/** One item a policy: `"burst";q=10;w=10` in `ratelimit-policy`, `"burst";r=3;t=4` in `ratelimit`. */
export function limitsOf(headers: Readonly<Record<string, string>>): HeaderLimit[] {
  const states = new Map(itemsOf(headers["ratelimit"] ?? "").map((item) => [item.name, item.parameters]));
  return itemsOf(headers["ratelimit-policy"] ?? "").map(({ name, parameters }) => {
    const state = states.get(name);
    return {
      policy: name,
      limit: numberOf(parameters.get("q")) ?? 0,
      windowS: numberOf(parameters.get("w")),
      remaining: numberOf(state?.get("r")),
      resetS: numberOf(state?.get("t")),
      unit: (parameters.get("qu") ?? "requests").replaceAll("-", " "),
    };
  });
}

export function retryAfterMs(headers: Readonly<Record<string, string>>): number | null {
  const exact = numberOf(headers["retry-after-ms"]);
  if (exact !== null) return exact;
  const seconds = numberOf(headers["retry-after"]);
  return seconds === null ? null : seconds * 1000;
}

interface Item {
  name: string;
  parameters: Map<string, string>;
}

/** Structured fields, as far as these headers use them: names are quoted and hold nothing to escape. */
function itemsOf(header: string): Item[] {
  return [...header.matchAll(/"([^"]*)"((?:;[a-z]+=(?:"[^"]*"|[^;,]*))*)/g)].map(([, name = "", rest = ""]) => ({
    name,
    parameters: new Map(
      [...rest.matchAll(/;([a-z]+)=(?:"([^"]*)"|([^;,]*))/g)].map(([, key = "", quoted, bare]) => [
        key,
        quoted ?? bare ?? "",
      ]),
    ),
  }));
}

function numberOf(text: string | undefined): number | null {
  const value = Number.parseFloat(text ?? "");
  return Number.isFinite(value) ? value : null;
}
