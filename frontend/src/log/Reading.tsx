import { Meter } from "@base-ui/react/meter";
import { Ban, CircleCheck, Hourglass } from "lucide-react";
import { useEffect, useState } from "react";
import { cn } from "@/lib/cn";
import { count } from "@/lib/format";
import { model, useLive } from "@/live/store";
import { useNow } from "@/live/useNow";
import { deniedLately, limitWords, type Room, roomAt, roomWords, subjectWords, unitWords } from "./words";

const COUNTED_DOWN_MS = 100;
const READ_ALOUD_MS = 4_000;

/** In large type: how much of the limit is used, and when there is room; to the tenth of a second of the server's time. */
export function Reading() {
  useNow(COUNTED_DOWN_MS); // the marks leave by themselves, whether or not a frame comes
  const { log, clock } = useLive();
  const { window } = log;
  if (!window) return null;
  const now = clock.now();
  const used = log.usedAt(now);
  const room = roomAt(log, now);
  const denied = deniedLately(log, now);
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-x-6 gap-y-1 tabular-nums">
        <p
          className="text-3xl leading-10 font-semibold whitespace-nowrap"
          style={{ minWidth: `${2 * count(window.limit).length + 7}ch` }} // what follows must not move with the number
        >
          {count(used)} of {count(window.limit)} used
        </p>
        <RoomNow room={room} unit={window.unit} />
        {!log.held && (
          <p className={cn("inline-flex items-center gap-1.5", denied > 0 ? "text-denied" : "text-quiet")}>
            <Ban aria-hidden className="size-4" />
            {count(denied)} denied, not stored
          </p>
        )}
      </div>
      <UsedMeter used={used} limit={window.limit} unit={window.unit} />
      <p className="text-sm text-quiet">
        {limitWords(window)}, for {subjectWords(window)}
        {!window.enforced && <strong className="text-warning"> (shadow mode: counts, never denies)</strong>}
      </p>
      <ReadAloud />
    </div>
  );
}

function RoomNow({ room, unit }: { room: Room; unit: string }) {
  const Icon = room.is === "room" ? CircleCheck : Hourglass;
  return (
    <p
      className={cn(
        "inline-flex min-w-[13ch] items-center gap-2 text-2xl leading-10 font-semibold",
        room.is === "room" ? "text-allowed" : "text-denied",
      )}
    >
      <Icon aria-hidden className="size-6 shrink-0" />
      {roomWords(room, unit)}
    </p>
  );
}

const MOST_CELLS = 50;
const CELLS = Array.from({ length: MOST_CELLS }, (_, at) => at);

/** A cell for each unit of the limit, or one bar where there are too many. */
function UsedMeter({ used, limit, unit }: { used: number; limit: number; unit: string }) {
  const full = used >= limit;
  return (
    <Meter.Root
      aria-label={`Used of the limit, in ${unitWords(unit)}`}
      min={0}
      max={Math.max(1, limit)}
      value={Math.min(used, limit)}
      getAriaValueText={() => `${count(used)} of ${count(limit)}`}
      className="flex h-3 gap-0.5"
    >
      {limit <= MOST_CELLS ? (
        CELLS.slice(0, limit).map((at) => (
          <span
            key={at}
            className={cn(
              "min-w-0 flex-1 rounded-sm border",
              at < used ? (full ? "border-denied bg-denied" : "border-allowed bg-allowed") : "border-line-strong",
            )}
          />
        ))
      ) : (
        <Meter.Track className="h-full w-full overflow-hidden rounded-sm border border-line-strong">
          <Meter.Indicator className={cn("h-full", full ? "bg-denied" : "bg-allowed")} />
        </Meter.Track>
      )}
    </Meter.Root>
  );
}

/** Says aloud when the window fills up or has room again: at most every few seconds. */
function ReadAloud() {
  const [said, setSaid] = useState("");
  useEffect(() => {
    let before: Room["is"] | null = null;
    const timer = setInterval(() => {
      const { log, clock } = model;
      if (!log.window) return;
      const room = roomAt(log, clock.now());
      if (before !== null && room.is !== before) {
        setSaid(
          `${count(log.usedAt(clock.now()))} of ${count(log.window.limit)} used, ${roomWords(room, log.window.unit)}.`,
        );
      }
      before = room.is;
    }, READ_ALOUD_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <p aria-live="polite" className="sr-only">
      {said}
    </p>
  );
}
