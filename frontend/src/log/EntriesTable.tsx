import { clock, count, duration } from "@/lib/format";
import { inWindow } from "@/live/log";
import { model } from "@/live/store";
import { useNow } from "@/live/useNow";
import { Table, Td, Th } from "@/ui/table";
import { newestRows, type Row } from "./rows";

const SHOWN = 14;
const TOLD_MS = 1_000;

/** The newest of the log and of what was denied, as text. */
export function EntriesTable() {
  const now = useNow(TOLD_MS);
  const { log } = model;
  const rows = newestRows(log.marks, log.crosses, SHOWN);
  return (
    <Table label="Newest entries of the log" className="tabular-nums">
      <thead>
        <tr>
          <Th>Time</Th>
          <Th>Decision</Th>
          <Th className="text-right">Counts for</Th>
          <Th className="text-right">Leaves the window</Th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <EntryRow
            key={row.is === "entry" ? row.ordinal : `d${row.sinceMs}`}
            row={row}
            now={now}
            windowMs={log.windowMs}
          />
        ))}
        {rows.length === 0 && (
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

function EntryRow({ row, now, windowMs }: { row: Row; now: number; windowMs: number }) {
  if (row.is === "denied") {
    return (
      <tr>
        <Td>{clock(row.ms)}</Td>
        <Td className="text-denied">✕ {count(row.times)} denied, not stored</Td>
        <Td className="text-right">–</Td>
        <Td className="text-right">–</Td>
      </tr>
    );
  }
  return (
    <tr>
      <Td>{clock(row.ms)}</Td>
      <Td className="text-allowed">● admitted</Td>
      <Td className="text-right">{row.cost === 0 ? "0 (taken back)" : count(row.cost)}</Td>
      <Td className="text-right">
        {inWindow(row.ms, now, windowMs) ? `in ${duration((row.ms + windowMs - now) / 1000)}` : "has left"}
      </Td>
    </tr>
  );
}
