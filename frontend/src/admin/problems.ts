/** A refused change, told where it belongs: the server names the fields in its message. Pure. */
import { ApiError } from "@/api/errors";

export interface Problems {
  /** By field of the form, such as `limit` or `match.tenant`. */
  fields: Record<string, string>;
  /** What belongs to no field that is shown. */
  general: string[];
}

export const NO_PROBLEMS: Problems = { fields: {}, general: [] };

/** `body.policy.match.tenant.0: no such tenant` */
const OF_BODY = /^body\.(?:policy\.)?([\w.[\]]+): (.+)$/s;

/** `shown`: the fields that the form has. */
export function problemsOf(error: unknown, shown: readonly string[]): Problems {
  if (!(error instanceof ApiError)) return { fields: {}, general: [plainWords(error)] };
  const problems: Problems = { fields: {}, general: [] };
  for (const line of error.body.message.split("\n")) {
    const [, path, words] = OF_BODY.exec(line) ?? [];
    const said = capital(words ?? line.replace(/^body: /, ""));
    const field = placesOf(error, path, said)
      .flatMap((place) => fieldOf(place, shown) ?? [])
      .at(0);
    if (field === undefined) problems.general.push(path === undefined ? said : line);
    else problems.fields[field] = [problems.fields[field], said].filter(Boolean).join(" ");
  }
  return problems;
}

/** Where a line may belong, the surest place first. */
function placesOf(error: ApiError, path: string | undefined, line: string): string[] {
  if (path !== undefined) return [path];
  const { param, code } = error.body;
  const places = param ? [param] : [];
  if (code === "already_exists" || code === "managed_by_configuration") places.push("name", "id");
  const [, kind] = code === "unknown_reference" ? (/ names (\w+) '/.exec(line) ?? []) : [];
  if (kind) places.push(...(NAMED_BY[kind] ?? []));
  // What is wrong between fields begins with one of them: `window: missing; write how long …`
  const [, first] = /^([a-z_.]+): /i.exec(line) ?? [];
  return first ? [...places, first.toLowerCase()] : places;
}

/** Which fields name an entity of a kind. */
const NAMED_BY: Record<string, string[]> = {
  tenant: ["match.tenant", "tenant"],
  user: ["match.user", "user"],
  key: ["match.api_key"],
  model: ["match.model", "models"],
  tier: ["match.model_tier"],
};

/** The shown field that holds the place, the narrowest first: `match.tenant.0` is in `match.tenant`. */
function fieldOf(path: string, shown: readonly string[]): string | undefined {
  const parts = path.split(/[.[\]]+/).filter(Boolean);
  for (let many = parts.length; many > 0; many -= 1) {
    const found = shown.find((field) => field === parts.slice(0, many).join("."));
    if (found) return found;
  }
  return undefined;
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function plainWords(error: unknown): string {
  return error instanceof Error && error.message ? error.message : "It did not work, and nothing says why.";
}

export function isConflict(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 412;
}
