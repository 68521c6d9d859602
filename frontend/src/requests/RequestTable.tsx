import { useRef } from "react";
import { cn } from "@/lib/cn";
import { clock, milliseconds } from "@/lib/format";
import { Badge, BandBadge } from "@/ui/badge";
import { Table, Td, Th } from "@/ui/table";
import { OutcomeMark } from "./OutcomeMark";
import type { Row } from "./rows";

interface Props {
  rows: readonly Row[];
  bands: readonly string[];
  /** The row that J and K have come to. */
  at: string | null;
  onOpen: (id: string) => void;
  onFocusRow: (id: string) => void;
}

const HEADINGS = ["Time", "Who", "Band", "Model", "Outcome", "Policy"];
const TIMES = ["Wait", "First token", "Total"];

export function RequestTable({ rows, bands, at, onOpen, onFocusRow }: Props) {
  return (
    <Table label="The last requests">
      <thead>
        <tr>
          {HEADINGS.map((heading) => (
            <Th key={heading}>{heading}</Th>
          ))}
          {TIMES.map((heading) => (
            <Th key={heading} className="text-right whitespace-nowrap">
              {heading}
            </Th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <RequestRow key={row.id} row={row} bands={bands} current={row.id === at} open={onOpen} focus={onFocusRow} />
        ))}
      </tbody>
    </Table>
  );
}

interface RowProps {
  row: Row;
  bands: readonly string[];
  current: boolean;
  open: (id: string) => void;
  focus: (id: string) => void;
}

/** The button in the first cell covers the whole row, so that a click anywhere opens it and the keyboard has one stop. */
function RequestRow({ row, bands, current, open, focus }: RowProps) {
  const button = useRef<HTMLButtonElement>(null);
  return (
    <tr className={cn("relative hover:bg-raised", current && "bg-raised")}>
      <Td className="whitespace-nowrap">
        <button
          ref={button}
          type="button"
          data-request={row.id}
          onClick={() => open(row.id)}
          onFocus={() => focus(row.id)}
          className="cursor-pointer tabular-nums after:absolute after:inset-0"
        >
          {clock(row.atMs)}
        </button>
      </Td>
      <Td className="whitespace-nowrap">{row.who}</Td>
      <Td>
        <BandBadge bands={bands} band={row.band} />
      </Td>
      <Td className="whitespace-nowrap">{row.model}</Td>
      <Td>
        <OutcomeMark outcome={row.outcome} status={row.status} />
      </Td>
      <Td className="whitespace-nowrap">
        {row.policy}
        {row.shadow.map((policy) => (
          <Badge key={policy} className="ml-1 text-quiet">
            shadow: {policy}
          </Badge>
        ))}
      </Td>
      {[row.waitMs, row.firstMs, row.totalMs].map((ms, index) => (
        <Td key={TIMES[index]} className="text-right whitespace-nowrap tabular-nums">
          {ms === null ? <span className="text-quiet">–</span> : milliseconds(ms)}
        </Td>
      ))}
    </tr>
  );
}
