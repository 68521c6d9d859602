import { useRef, useState } from "react";
import { useSession } from "@/app/session";
import { useShortcut } from "@/app/shortcuts";
import { model } from "@/live/store";
import { sent } from "@/traffic/sent";
import { Button } from "@/ui/button";
import { Panel } from "@/ui/panel";
import { Segments } from "@/ui/segments";
import { Select } from "@/ui/select";
import { OUTCOMES } from "./OutcomeMark";
import { RequestDetail } from "./RequestDetail";
import { RequestTable } from "./RequestTable";
import { type OutcomeFilter, type Row, rowOf, rowsOf, type WhoseRows } from "./rows";
import { useSampled } from "./useSampled";

/** How many rows stand there before somebody asks for all of them. */
const FIRST_ROWS = 50;

const WHOSE = [
  { value: "own", label: "Sent here" },
  { value: "everybody", label: "Everybody" },
] as const;

const NO_BANDS: readonly string[] = [];

/** The last requests; a row opens everything that is known of it. */
export function RequestsPanel() {
  const [whose, setWhose] = useState<WhoseRows>("own");
  const [filter, setFilter] = useState<OutcomeFilter>("all");
  const [all, setAll] = useState(false);
  const [at, setAt] = useState<string | null>(null);
  const [opened, setOpened] = useState<Row | null>(null);
  const bands = useSession((session) => session.settings?.bands) ?? NO_BANDS;
  const sampled = useSampled();
  const rows = rowsOf(whose, sampled.sent, sampled.seen, filter);
  const held = useHeld(rows, all ? rows.length : FIRST_ROWS);
  const { shown } = held;

  const open = (id: string) => setOpened(rowOf(sent.get(id) ?? null, model.request(id) ?? null) ?? byId(shown, id));
  const move = (by: 1 | -1) => {
    const index = shown.findIndex(({ id }) => id === at);
    const next = shown[index < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, index + by))];
    if (!next) return;
    setAt(next.id);
    held.place.current?.querySelector<HTMLElement>(`[data-request="${CSS.escape(next.id)}"]`)?.focus();
  };
  useShortcut("j", "Go to the next request in the table", () => move(1), true);
  useShortcut("k", "Go to the previous request in the table", () => move(-1), true);

  return (
    <Panel
      title="Requests"
      actions={
        <div className="flex flex-wrap items-center gap-2">
          <Segments label="Whose requests" value={whose} onChange={setWhose} options={WHOSE} />
          <Select
            label="Outcome"
            value={filter}
            onChange={(next) => setFilter(next as OutcomeFilter)}
            options={[{ value: "all", label: "All outcomes" }, ...OUTCOMES]}
            className="w-40"
          />
        </div>
      }
    >
      <div ref={held.place} {...held.listeners}>
        {shown.length === 0 ? (
          <p className="py-6 text-center text-quiet">{nothing(whose, filter)}</p>
        ) : (
          <RequestTable rows={shown} bands={bands} at={at} onOpen={open} onFocusRow={setAt} />
        )}
      </div>
      <div className="mt-2 flex min-h-8 flex-wrap items-center justify-between gap-2 text-sm text-quiet">
        <p>{held.is ? `Held still while you are at it${held.newer > 0 ? `: ${held.newer} newer` : ""}.` : ""}</p>
        {rows.length > FIRST_ROWS && (
          <Button size="small" kind="quiet" onClick={() => setAll(!all)}>
            {all ? `Show ${FIRST_ROWS}` : `Show all ${rows.length}`}
          </Button>
        )}
      </div>
      <RequestDetail
        row={opened && (rowOf(sent.get(opened.id) ?? opened.sent, model.request(opened.id) ?? opened.seen) ?? opened)}
        onClose={() => setOpened(null)}
      />
    </Panel>
  );
}

function byId(rows: readonly Row[], id: string): Row | null {
  return rows.find((row) => row.id === id) ?? null;
}

function nothing(whose: WhoseRows, filter: OutcomeFilter): string {
  if (filter !== "all") return "None of the last requests ended so.";
  return whose === "own" ? "This page has sent nothing yet." : "Nobody has sent anything since this page listens.";
}

interface Held {
  shown: readonly Row[];
  is: boolean;
  /** How many have come since. */
  newer: number;
  place: React.RefObject<HTMLDivElement | null>;
  listeners: Pick<React.ComponentProps<"div">, "onPointerEnter" | "onPointerLeave" | "onFocus" | "onBlur">;
}

/** While somebody points into the table or is in it by keyboard, its rows stay where they are; their content is new. */
function useHeld(rows: readonly Row[], most: number): Held {
  const place = useRef<HTMLDivElement>(null);
  const [pointing, setPointing] = useState(false);
  const [within, setWithin] = useState(false);
  const frozen = useRef<readonly Row[] | null>(null);
  const is = pointing || within;
  if (!is) frozen.current = null;
  else frozen.current ??= rows;
  const latest = new Map(rows.map((row) => [row.id, row]));
  const from = frozen.current ?? rows;
  const first = from[0];
  return {
    shown: from.slice(0, most).map((row) => latest.get(row.id) ?? row),
    is: is && from.length > 0,
    newer:
      is && first
        ? Math.max(
            0,
            rows.findIndex(({ id }) => id === first.id),
          )
        : 0,
    place,
    listeners: {
      onPointerEnter: (event) => event.pointerType === "mouse" && setPointing(true),
      onPointerLeave: () => setPointing(false),
      onFocus: () => setWithin(true),
      onBlur: (event) => setWithin(event.currentTarget.contains(event.relatedTarget)),
    },
  };
}
