import { useState } from "react";
import { duration, span } from "@/lib/format";
import { Button } from "@/ui/button";
import { Meter } from "@/ui/meter";
import { Table, Td, Th } from "@/ui/table";
import { Failure } from "./Outcome";
import { subjectWords, unitWords } from "./policies/words";
import { useUsage } from "./queries";
import type { UsageWindow } from "./types";

const SHOWN = 10;

/** The fullest first; of equal ones by subject, so that rows do not jump. */
export function fullest(windows: readonly UsageWindow[]): UsageWindow[] {
  const share = (window: UsageWindow) => window.used / Math.max(1, window.limit);
  return [...windows].sort((a, b) => share(b) - share(a) || name(a).localeCompare(name(b)));
}

function name(window: UsageWindow): string {
  return `${window.policy} ${window.subject} ${window.shard ?? ""}`;
}

interface Props {
  /** Whose windows; they are asked for again every two seconds. */
  of: { policy?: string; tenant?: string };
  /** Something to do with a window's subject. */
  act?: { label: (subject: string) => string; text: string; run: (window: UsageWindow) => void } | undefined;
}

/** What is used now, as it changes. */
export function UsageList({ of, act }: Props) {
  const usage = useUsage(of);
  const [all, setAll] = useState(false);
  if (usage.isPending) return <p role="status">Reading the windows…</p>;
  if (usage.isError) return <Failure error={usage.error} />;
  const { windows, more } = usage.data;
  if (windows.length === 0) {
    return <p className="text-quiet">Nothing counts now: every window is empty. It is looked at every two seconds.</p>;
  }
  const shown = fullest(windows).slice(0, all ? windows.length : SHOWN);
  return (
    <>
      <Table label="Windows in use">
        <thead>
          <tr>
            <Th>{of.policy === undefined ? "Policy and subject" : "Subject"}</Th>
            <Th>Used now</Th>
            <Th className="hidden sm:table-cell">Empty</Th>
            {act && (
              <Th>
                <span className="sr-only">Actions</span>
              </Th>
            )}
          </tr>
        </thead>
        <tbody>
          {shown.map((window) => (
            <Row key={name(window)} window={window} withPolicy={of.policy === undefined} act={act} />
          ))}
        </tbody>
      </Table>
      <p className="mt-2 text-sm text-quiet">
        {windows.length === 1 ? "One window holds" : `${windows.length}${more ? " or more" : ""} windows hold`}{" "}
        something now.
        {windows.length > SHOWN && (
          <Button kind="quiet" size="small" className="ml-2" onClick={() => setAll(!all)}>
            {all ? "Show the fullest" : `Show all ${windows.length}`}
          </Button>
        )}
      </p>
    </>
  );
}

function Row({ window, withPolicy, act }: { window: UsageWindow; withPolicy: boolean; act: Props["act"] }) {
  const subject = subjectWords(window.scope, window.subject);
  const part = window.shard === null ? "" : `, part ${window.shard + 1}`;
  return (
    <tr>
      <Td className="break-words">
        {withPolicy && <span className="block font-medium">{window.policy}</span>}
        <span className={withPolicy ? "text-quiet" : "font-medium"}>
          {subject}
          {part}
        </span>
      </Td>
      <Td>
        <Meter
          label={`${withPolicy ? `${window.policy}, ` : ""}${subject}${part}: used`}
          used={window.used}
          limit={window.limit}
          unit={unitWords(window.unit)}
        />
        <span className="mt-1 block text-xs text-quiet sm:hidden">empty {emptyIn(window)}</span>
      </Td>
      <Td className="hidden whitespace-nowrap tabular-nums sm:table-cell">
        {emptyIn(window)}
        <span className="block text-xs text-quiet">
          {window.enforced ? `window ${span(window.window_s)}` : "shadow: denies nothing"}
        </span>
      </Td>
      {act && (
        <Td className="text-right">
          <Button size="small" aria-label={act.label(subject)} onClick={() => act.run(window)}>
            {act.text}
          </Button>
        </Td>
      )}
    </tr>
  );
}

function emptyIn(window: UsageWindow): string {
  return window.unit === "concurrent_requests" ? "when they end" : `in ${duration(window.reset_after_s)}`;
}
