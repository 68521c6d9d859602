/** The newest of a log and of what was denied beside it, for the table. */
import type { Cross, Mark } from "@/live/log";

export type Row =
  | { is: "entry"; ms: number; ordinal: number; cost: number }
  /** Denied one after another, with no entry between them. */
  | { is: "denied"; ms: number; sinceMs: number; times: number };

/** Newest first, so many at most. Both must be in the order of time. */
export function newestRows(marks: readonly Mark[], crosses: readonly Cross[], most: number): Row[] {
  const rows: Row[] = [];
  let mark = marks.length - 1;
  let cross = crosses.length - 1;
  for (;;) {
    const [entry, denied] = [marks[mark], crosses[cross]];
    const last = rows.at(-1);
    if (denied && (!entry || denied.ms >= entry.ms)) {
      cross -= 1;
      if (last?.is === "denied") {
        last.sinceMs = denied.ms;
        last.times += 1;
        continue;
      }
      if (rows.length === most) return rows;
      rows.push({ is: "denied", ms: denied.ms, sinceMs: denied.ms, times: 1 });
    } else if (entry) {
      mark -= 1;
      if (rows.length === most) return rows;
      rows.push({ is: "entry", ms: entry.ms, ordinal: entry.ordinal, cost: entry.cost });
    } else return rows;
  }
}
