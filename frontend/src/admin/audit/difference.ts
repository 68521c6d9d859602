/** What a change changed: an entity's fields before and after, side by side. Pure. */

export interface Changed {
  /** Where it stands, such as `match.tenant`. */
  field: string;
  /** As it reads; null: it was not set, so it had its default. */
  before: string | null;
  after: string | null;
}

type Fields = Record<string, unknown>;

/** The fields that are not the same, in the order in which the entity has them. */
export function difference(before: object | null, after: object | null): Changed[] {
  const old = flat(before);
  const now = flat(after);
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((field) => ({ field, before: old.get(field) ?? null, after: now.get(field) ?? null }))
    .filter((each) => each.before !== each.after);
}

/** Objects within are taken apart, lists are one value; what is null or empty was not set. */
function flat(fields: object | null, prefix = "", into = new Map<string, string>()): Map<string, string> {
  for (const [name, value] of Object.entries((fields ?? {}) as Fields)) {
    const field = prefix + name;
    if (isFields(value)) flat(value, `${field}.`, into);
    else if (!isNothing(value)) into.set(field, written(value));
  }
  return into;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0);
}

function written(value: unknown): string {
  if (Array.isArray(value)) return value.map(written).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
