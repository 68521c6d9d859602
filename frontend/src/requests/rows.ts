/** The table's rows: what this page has sent and what the feed tells of everybody's, put together by id. */
import type { SeenRequest } from "@/live/model";
import type { Outcome, SentRequest } from "@/traffic/sent";

export const MOST_ROWS = 200;

export type WhoseRows = "own" | "everybody";
export type OutcomeFilter = Outcome | "all";

export interface Row {
  id: string;
  atMs: number;
  /** `paula of acme`. */
  who: string;
  band: string;
  model: string;
  outcome: Outcome;
  status: number | null;
  /** The one that denied; the queue's code where that refused. */
  policy: string;
  /** Policies in shadow mode that would have denied it. */
  shadow: readonly string[];
  waitMs: number | null;
  firstMs: number | null;
  totalMs: number | null;
  sent: SentRequest | null;
  seen: SeenRequest | null;
}

/** What became of a request, as far as the feed has told. */
export function outcomeOf({ outcome, ending }: SeenRequest): Outcome {
  if (outcome === "denied") return "denied";
  if (!ending) return "waiting";
  if (ending.code === "queue_full" || ending.code === "queue_timeout") return "refused";
  if (ending.status === 499) return "stopped";
  return ending.status >= 400 ? "failed" : "allowed";
}

/** One request, of which at least one side is known. The page's own times are those that a client sees: they win. */
export function rowOf(sent: SentRequest | null, seen: SeenRequest | null): Row | null {
  const known = sent ?? seen;
  if (!known) return null;
  const ending = seen?.ending ?? null;
  return {
    id: known.id,
    atMs: seen?.at_ms ?? sent?.atMs ?? 0,
    who: sent?.name ?? `${seen?.user} of ${seen?.tenant}`,
    band: known.band,
    model: known.model,
    outcome: sent?.outcome ?? (seen ? outcomeOf(seen) : "waiting"),
    status: sent?.status ?? ending?.status ?? (seen?.outcome === "denied" ? 429 : null),
    policy: seen?.denied_by ?? sent?.error?.policy ?? refusedBy(sent, seen),
    shadow: seen?.shadow ?? [],
    waitMs: ending?.wait_ms ?? null,
    firstMs: sent ? sent.firstMs : (ending?.ttft_ms ?? null),
    totalMs: sent ? sent.totalMs : (ending?.total_ms ?? null),
    sent,
    seen,
  };
}

function refusedBy(sent: SentRequest | null, seen: SeenRequest | null): string {
  const code = sent?.error?.code ?? seen?.ending?.code ?? "";
  return code === "queue_full" || code === "queue_timeout" ? code : "";
}

/** Newest first. */
export function rowsOf(
  whose: WhoseRows,
  sent: readonly SentRequest[],
  seen: readonly SeenRequest[],
  filter: OutcomeFilter,
): Row[] {
  const sentBy = new Map(sent.map((each) => [each.id, each]));
  const seenBy = new Map(seen.map((each) => [each.id, each]));
  const ids = whose === "own" ? [...sentBy.keys()] : [...seenBy.keys()];
  const rows: Row[] = [];
  for (const id of ids) {
    const row = rowOf(sentBy.get(id) ?? null, seenBy.get(id) ?? null);
    if (row && (filter === "all" || row.outcome === filter)) rows.push(row);
    if (rows.length >= MOST_ROWS) break;
  }
  return rows;
}
