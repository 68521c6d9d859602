/** Why a request got the answer it got, in sentences. Everything here is pure. */
import type { ErrorBody } from "@/api/errors";
import { count, duration, span } from "@/lib/format";
import type { SeenRequest } from "@/live/model";
import type { Outcome, SentRequest } from "@/traffic/sent";
import { type HeaderLimit, limitsOf, retryAfterMs } from "./limits";

export interface Explanation {
  /** A few words: what happened. */
  title: string;
  /** Sentences: why, and what follows. */
  sentences: readonly string[];
  /** When the same request is worth sending again, in ms after the answer came; null: nobody knows, or never. */
  retryMs: number | null;
}

/** Who asked, and for what: as far as words need it. */
interface Who {
  tenant: string;
  user: string;
  /** The key's public id. */
  apiKey: string;
  model: string;
  band: string;
}

export interface Denial extends Who {
  policy: string;
  /** Empty where it is not known, as in the feed. */
  scope: string;
  /** Whose window; null where only the scope says it. */
  subject: string | null;
  limit: number | null;
  /** Null where it is not known, and for what counts requests at once. */
  windowS: number | null;
  /** `requests`, `concurrent_requests`, `tokens` and its kin. */
  unit: string;
  retryMs: number | null;
}

const EACH: Record<string, string> = {
  GLOBAL: "everybody together",
  TENANT: "each tenant",
  API_KEY: "each API key",
  MODEL: "each model",
  MODEL_TIER: "each tier of models",
  USER_MODEL: "each user on each model",
};

/** Whose window it is, as the object or subject of a sentence. */
export function whose({ scope, subject, tenant, user, apiKey, model }: Omit<Denial, "policy">): string {
  switch (scope) {
    case "GLOBAL":
      return "the one window of all traffic";
    case "TENANT":
      return `the window of the tenant ${subject || tenant}`;
    case "API_KEY":
      return `the window of the key ${subject || apiKey}`;
    case "MODEL":
      return `the window of the model ${subject || model}`;
    case "MODEL_TIER":
      return subject ? `the window of the tier ${subject.replaceAll("|", ", ")}` : `the window of ${model}'s tier`;
    case "USER_MODEL":
      return `the window of ${user} of ${tenant} on ${model}`;
    default:
      return subject ? `the window of ${subject.replaceAll("|", ", ")}` : "its window";
  }
}

function ruleOf({ policy, scope, limit, windowS, unit }: Denial): string {
  const what = unit.replaceAll("_", " ");
  if (limit === null) return `The policy ${policy} denied it.`;
  const each = EACH[scope];
  const allows = `The policy ${policy} allows ${each ? `${each} ` : ""}`;
  if (unit === "concurrent_requests") return `${allows}${count(limit)} requests at once.`;
  return `${allows}${count(limit)} ${what}${windowS === null ? "" : ` in any ${span(windowS)}`}.`;
}

/** A denial by a limit: the rule, whose window was full, and when there is room. */
export function explainDenial(denial: Denial): Explanation {
  const { unit, retryMs, windowS } = denial;
  const place = whose(denial);
  const title = `Denied by ${denial.policy}`;
  const sentences = [ruleOf(denial)];
  if (unit === "concurrent_requests") {
    sentences.push(`${capital(place)} was full: as many are running. One more may begin as soon as one of them ends.`);
    return { title, sentences, retryMs };
  }
  if (windowS !== null && retryMs !== null && retryMs > windowS * 1000) {
    sentences.push(
      `It asked so often while it was denied that ${place} is blocked: nothing is admitted, whatever room there is, for another ${duration(retryMs / 1000)}.`,
    );
    return { title: `Blocked by ${denial.policy}`, sentences, retryMs };
  }
  sentences.push(`${capital(place)} had no room for it.`);
  if (retryMs !== null) {
    sentences.push(
      `The same request fits ${duration(retryMs / 1000)} later, when the oldest entries leave the window, unless somebody else is first. Denied requests are logged nowhere and cost nothing.`,
    );
  }
  return { title, sentences, retryMs };
}

function explainQueue(code: string, { model, band }: Who, retryMs: number | null): Explanation {
  const full = code === "queue_full";
  const sentences = [
    `Its limits allowed it; what it lacked was a slot of ${model}.`,
    full
      ? `As many requests of the band ${band} wait for one as may.`
      : `It would have waited, or has waited, longer than requests of the band ${band} may.`,
    "It was not charged for.",
  ];
  if (retryMs !== null) sentences.push(`The queue is expected to take it in ${duration(retryMs / 1000)}.`);
  return { title: full ? "Refused: the queue is full" : "Refused: too long a wait for a slot", sentences, retryMs };
}

const CODES: Record<string, readonly [string, string]> = {
  request_exceeds_limit: [
    "Too large for its limits",
    "It asks for more than a whole window may hold: waiting does not help, a smaller request does.",
  ],
  limits_unavailable: [
    "Limits cannot be checked",
    "Redis, which holds the limits, does not answer, and a policy says to deny then. It is worth trying again soon.",
  ],
  keys_unavailable: [
    "Keys cannot be looked up",
    "Redis, which holds the keys, does not answer. It is worth trying again soon.",
  ],
  catalogue_unavailable: [
    "Not ready yet",
    "The server has not read its catalogue from Redis yet. It is worth trying again soon.",
  ],
  model_unavailable: [
    "No replica of the model",
    "No replica of this model can serve now. It is worth trying again soon.",
  ],
  deadline_exceeded: ["Took too long", "The request took longer than this server allows, and was ended."],
  model_failed: ["The model failed", "The model failed on this request. What was used is charged."],
  model_not_found: ["No such model", "The server knows no model of this name."],
  model_not_allowed: ["Model not allowed", "This key may not use this model."],
};

const STATUSES: Record<number, readonly [string, string]> = {
  400: ["Not understood", "Something is wrong with the request itself."],
  401: ["Key not accepted", "The server knows no such key, or it has expired or was revoked."],
  403: ["Not allowed", "The key is known, but may not do this."],
  404: ["Not there", "The server has nothing under this name."],
  413: ["Too large", "The body is larger than the server takes."],
  422: ["Not understood", "A field of the request has the wrong type."],
  500: ["Failed in the server", "Something failed in the server; its log says more."],
  502: ["No server behind the proxy", "The proxy reached no ingress: it may be starting or restarting."],
  503: ["Not available now", "Something that the server needs is not available now. It is worth trying again soon."],
};

function explainError(status: number, error: ErrorBody, retryMs: number | null): Explanation {
  const [title, why] = CODES[error.code ?? ""] ??
    STATUSES[status] ?? [`Answered ${status}`, "The server did not serve this request."];
  return { title, sentences: [why, `In the server's words: ${error.message}`], retryMs };
}

/** One that this page has sent. */
export function explainSent(request: SentRequest, seen?: SeenRequest): Explanation {
  const { outcome, status, error } = request;
  const retryMs = retryAfterMs(request.headers);
  const who = { ...request, apiKey: request.persona };
  if (outcome === "denied" && error) return explainDenial(denialOf(request, error, seen));
  if (outcome === "refused" && error) return explainQueue(error.code ?? "", who, retryMs);
  if (outcome === "failed" && error && status !== null && status >= 400) return explainError(status, error, retryMs);
  return { ...plainly(outcome, error), retryMs: null };
}

function denialOf(request: SentRequest, error: ErrorBody, seen?: SeenRequest): Denial {
  const { tenant, user, persona, model, band, headers } = request;
  const policy = error.policy ?? "";
  const limit: HeaderLimit | undefined = limitsOf(headers).find((each) => each.policy === policy);
  return {
    ...{ tenant, user, model, band, apiKey: persona, policy, scope: error.scope ?? "" },
    subject: seen?.denied_subject ?? null,
    limit: limit?.limit ?? null,
    windowS: limit?.windowS ?? null,
    unit: error.type ?? "requests",
    retryMs: retryAfterMs(headers),
  };
}

function plainly(outcome: Outcome, error: ErrorBody | null): Omit<Explanation, "retryMs"> {
  switch (outcome) {
    case "waiting":
      return { title: "Under way", sentences: ["No answer has come yet, or not all of it."] };
    case "allowed":
      return { title: "Allowed", sentences: ["Every limit that applies had room, and a model has answered."] };
    case "stopped":
      return {
        title: "Stopped",
        sentences: ["This page ended it before the reply was complete; the server frees its slot."],
      };
    case "unreachable":
      return { title: "No answer", sentences: ["The server cannot be reached.", error?.message ?? ""].filter(Boolean) };
    default:
      return {
        title: "Broke off",
        sentences: ["The reply began, and did not come to its end.", error?.message ?? ""].filter(Boolean),
      };
  }
}

/** What the feed told of a request of whomever; `limit` is what is known of the window that denied. */
export function explainSeen(
  seen: SeenRequest,
  window?: { scope: string; limit: number; window_s: number; unit: string },
): Explanation {
  const { tenant, user, api_key: apiKey, model, band, ending, denied_by: policy, denied_subject: subject } = seen;
  const who = { tenant, user, apiKey, model, band };
  const retryMs = seen.retry_after_s > 0 ? Math.ceil(seen.retry_after_s * 1000) : null;
  if (policy !== null) {
    const atOnce = window?.unit === "concurrent_requests";
    return explainDenial({
      ...{ ...who, policy, subject, retryMs, scope: window?.scope ?? "", limit: window?.limit ?? null },
      windowS: atOnce ? null : (window?.window_s ?? null),
      unit: window?.unit ?? "requests",
    });
  }
  if (!ending) return { ...plainly("waiting", null), retryMs: null };
  if (ending.code === "queue_full" || ending.code === "queue_timeout") return explainQueue(ending.code, who, null);
  if (ending.status === 499) {
    return {
      title: "The client left",
      sentences: ["Whoever sent it left before the reply was complete."],
      retryMs: null,
    };
  }
  if (ending.status >= 400) {
    const message = `status ${ending.status}${ending.code ? `, ${ending.code}` : ""}.`;
    return explainError(ending.status, { message, ...(ending.code ? { code: ending.code } : {}) }, null);
  }
  return { ...plainly("allowed", null), retryMs: null };
}

/** `3 of 10 requests left in any 10 s; the oldest gives its room back in 4 s`. */
export function limitInWords({ limit, windowS, remaining, resetS, unit }: HeaderLimit): string {
  const left = remaining === null ? `${count(limit)}` : `${count(remaining)} of ${count(limit)}`;
  if (unit === "concurrent requests" || windowS === null) return `${left} at once left`;
  const back =
    resetS !== null && resetS > 0 && remaining !== limit ? `; room comes back within ${duration(resetS)}` : "";
  return `${left} ${unit} left in any ${span(windowS)}${back}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
