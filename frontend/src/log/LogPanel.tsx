import { useState } from "react";
import { cn } from "@/lib/cn";
import { windowKey } from "@/live/model";
import { feed, useFeedState, useLiveValue } from "@/live/store";
import { useTraffic } from "@/traffic/store";
import { Button } from "@/ui/button";
import { Panel } from "@/ui/panel";
import { Select } from "@/ui/select";
import { Switch } from "@/ui/switch";
import { Beginning } from "./Beginning";
import { EntriesTable } from "./EntriesTable";
import { FixedWindow } from "./FixedWindow";
import { HeldSlots } from "./HeldSlots";
import { Legend } from "./Legend";
import { LogCanvas } from "./LogCanvas";
import { Reading } from "./Reading";
import { useWindows } from "./useWindows";

/** The heart of the page: one window's log as it slides, and what it says about the next request. */
export function LogPanel() {
  const watching = useLiveValue((live) => live.log.window !== null);
  const held = useLiveValue((live) => live.log.held);
  return (
    <Panel title="The sliding log" className="min-w-0" actions={<WindowPicker />}>
      {watching ? (
        <div className="flex flex-col gap-3">
          <Reading />
          {held ? <HeldSlots /> : <Log />}
        </div>
      ) : (
        <Beginning />
      )}
    </Panel>
  );
}

function Log() {
  const [table, setTable] = useState(false);
  const [fixed, setFixed] = useState(false);
  const beginning = useBeginning();
  const stale = useStale();
  return (
    <>
      <div className={cn("grid *:col-start-1 *:row-start-1", stale && "*:first:opacity-50")}>
        <LogCanvas />
        {stale && (
          <p className="z-10 mt-8 self-start justify-self-center rounded-md border border-line-strong bg-panel px-3 py-1 text-sm">
            {stale}
          </p>
        )}
        {beginning && (
          <div className="relative grid place-items-center pb-5">
            <Beginning />
          </div>
        )}
      </div>
      <Legend />
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2">
        <Switch label="Compare with a fixed window" checked={fixed} onChange={setFixed} />
        <Button size="small" aria-pressed={table} onClick={() => setTable(!table)}>
          As a table
        </Button>
      </div>
      {fixed && <FixedWindow />}
      {table && <EntriesTable />}
    </>
  );
}

/** Whether nothing was seen yet, and nothing was begun here: then the page says what there will be to see. */
function useBeginning(): boolean {
  const quiet = useLiveValue((live) => live.log.marks.length + live.log.crosses.length === 0 && !live.log.profile);
  const [seen, setSeen] = useState(!quiet);
  if (!quiet && !seen) setSeen(true);
  const begun = useTraffic((traffic) => traffic.begun);
  return quiet && !seen && !begun;
}

/** Why the picture is not of now; empty where it is. */
function useStale(): string {
  const state = useFeedState().is;
  const store = useLiveValue((live) => live.frame?.store ?? "ok");
  if (state === "paused") return "Paused: the picture stands still.";
  if (state === "away") return "Not connected: this is what was last heard.";
  return state === "live" && store !== "ok" ? "Redis does not answer: this is what was last read." : "";
}

function WindowPicker() {
  const options = useWindows();
  const paused = useFeedState().is === "paused";
  const watched = useLiveValue((live) => (live.log.window ? windowKey(live.log.window) : ""));
  if (options.length === 0) return null;
  return (
    <Select
      label="The window to watch"
      value={watched}
      disabled={paused}
      options={options}
      className="w-[min(26rem,100%)] min-w-56"
      onChange={(value) => {
        const [policy, subject] = JSON.parse(value) as [string, string];
        feed.watch({ policy, subject });
      }}
    />
  );
}
