import { clock, duration } from "@/lib/format";
import { inWindow } from "@/live/log";
import { model } from "@/live/store";
import { useNow } from "@/live/useNow";
import { Table, Td, Th } from "@/ui/table";

const SHOWN = 20;
const TOLD_MS = 1_000;

/** The newest of the log and of what was denied, as text. */
export function EntriesTable() {
  const now = useNow(TOLD_MS);
  const { log } = model;
  const newest = [
    ...log.marks.slice(-SHOWN).map((mark) => ({ ...mark, key: `m${mark.ordinal}`, denied: false })),
    ...log.crosses.slice(-SHOWN).map((cross) => ({ ms: cross.ms, cost: 0, key: `c${cross.id}`, denied: true })),
  ]
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SHOWN);
  return (
    <Table label="Newest entries of the log" className="tabular-nums">
      <thead>
        <tr>
          <Th>Logged at</Th>
          <Th>Decision</Th>
          <Th>Counts for</Th>
          <Th>Leaves the window</Th>
        </tr>
      </thead>
      <tbody>
        {newest.map((each) => (
          <tr key={each.key}>
            <Td>{clock(each.ms)}</Td>
            <Td className={each.denied ? "text-denied" : "text-allowed"}>
              {each.denied ? "✕ denied, not stored" : "● admitted"}
            </Td>
            <Td>{each.denied ? "–" : each.cost === 0 ? "0 (taken back)" : each.cost}</Td>
            <Td>
              {each.denied
                ? "–"
                : inWindow(each.ms, now, log.windowMs)
                  ? `in ${duration((each.ms + log.windowMs - now) / 1000)}`
                  : "has left"}
            </Td>
          </tr>
        ))}
        {newest.length === 0 && (
          <tr>
            <Td colSpan={4} className="text-quiet">
              {log.profile
                ? "There are too many entries to list them."
                : "Nothing was asked for in this window lately."}
            </Td>
          </tr>
        )}
      </tbody>
    </Table>
  );
}
